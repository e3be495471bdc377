//! The header of the PROXY protocol, versions 1 and 2, which a proxy sends before the client's first byte
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>; section numbers refer to that document).
//!
//! Version 1 begins with a letter with which no codec's stream begins. Version 2 begins with line ends, as a legacy
//! stream may; the first byte that differs tells them apart.
//!
//! It is not parsed by a library, because the one there is (`ppp`) cannot tell "no header" before it has seen a whole
//! signature, and depends on a second version of `thiserror`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line of version 1, with its CRLF (section 2.1).
const V1_BYTES: usize = 107;
const V1_SIGNATURE: &[u8] = b"PROXY ";
/// The first bytes of version 2 (section 2.2).
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const V2_FIXED: usize = 16;

/// The interpretation of the bytes that a connection has sent so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The beginning of a header or of something else.
    Possible,
    /// The beginning of a header.
    Begun,
    /// Something else, so no header follows.
    Absent,
    /// A complete header.
    Whole {
        /// The client; `None`: the proxy itself, for example for a health check, or a client without an Internet
        /// address.
        source: Option<SocketAddr>,
        /// The length of the header, bytes.
        length: usize,
    },
}

/// The bytes cannot be a header and are nothing else either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Parses everything that a connection has sent so far.
///
/// # Errors
/// If the bytes begin like a header and cannot be one.
pub fn parse(bytes: &[u8]) -> Result<Header, Malformed> {
    match bytes.first() {
        None => Ok(Header::Possible),
        Some(b'P') => parse_v1(bytes),
        Some(_) if bytes.starts_with(V2_SIGNATURE) => parse_v2(bytes),
        Some(_) if V2_SIGNATURE.starts_with(bytes) => Ok(Header::Possible),
        Some(_) => Ok(Header::Absent),
    }
}

/// Whether the first bytes of a connection are those of a header.
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(V1_SIGNATURE) || bytes.starts_with(V2_SIGNATURE)
}

/// Whether these first bytes of a connection are those of a header or the beginning of them.
pub fn may_begin(bytes: &[u8]) -> bool {
    let is_common = |signature: &[u8]| {
        let common = bytes.len().min(signature.len());
        bytes[..common] == signature[..common]
    };
    is_common(V1_SIGNATURE) || is_common(V2_SIGNATURE)
}

/// `PROXY TCP4 192.0.2.7 198.51.100.1 56324 6000\r\n`, or TCP6, or UNKNOWN and anything.
fn parse_v1(bytes: &[u8]) -> Result<Header, Malformed> {
    let common = bytes.len().min(V1_SIGNATURE.len());
    if bytes[..common] != V1_SIGNATURE[..common] {
        return Err(Malformed);
    }
    let line = &bytes[..bytes.len().min(V1_BYTES)];
    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
        return if line.len() < V1_BYTES { Ok(Header::Begun) } else { Err(Malformed) };
    };
    let text = line[..end].strip_suffix(b"\r").and_then(|line| line.strip_prefix(V1_SIGNATURE));
    let text = std::str::from_utf8(text.ok_or(Malformed)?).map_err(|_| Malformed)?;
    let mut words = text.split(' ');
    let source = match words.next() {
        // The rest of the line is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(v1_addresses::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(v1_addresses::<Ipv6Addr>(words)?),
        _ => return Err(Malformed),
    };
    Ok(Header::Whole { source, length: end + 1 })
}

/// Source and destination address, source and destination port, and nothing more.
fn v1_addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, Malformed> {
    let mut word = || words.next().ok_or(Malformed);
    let ip = |word: &str| word.parse().map(A::into).map_err(|_| Malformed);
    let (source, _) = (ip(word()?)?, ip(word()?)?);
    let (source_port, _) = (v1_port(word()?)?, v1_port(word()?)?);
    match words.next() {
        None => Ok(SocketAddr::new(source.to_canonical(), source_port)),
        Some(_) => Err(Malformed),
    }
}

fn v1_port(word: &str) -> Result<u16, Malformed> {
    // `parse` would accept a sign.
    let has_form = word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| has_form).ok_or(Malformed)
}

/// The fixed part, addresses, and TLVs, which are ignored.
fn parse_v2(bytes: &[u8]) -> Result<Header, Malformed> {
    let Some((fixed, rest)) = bytes.split_at_checked(V2_FIXED) else { return Ok(Header::Begun) };
    let has_source = match fixed[12] {
        // LOCAL: the connection is the proxy's own, and the family is to be ignored.
        0x20 => false,
        0x21 => true,
        _ => return Err(Malformed),
    };
    // Families: 0 unspecified, 1 IPv4, 2 IPv6, 3 Unix. Protocols: 0 unspecified, 1 stream.
    let address_bytes = match fixed[13] {
        _ if !has_source => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(Malformed),
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length < address_bytes {
        return Err(Malformed);
    }
    let Some(rest) = rest.get(..length) else { return Ok(Header::Begun) };
    let source = match (has_source, fixed[13]) {
        (true, 0x11) => Some(v2_source::<4>(rest)),
        (true, 0x21) => Some(v2_source::<16>(rest)),
        _ => None,
    };
    Ok(Header::Whole { source, length: V2_FIXED + length })
}

/// Source and destination address, then source and destination port.
fn v2_source<const N: usize>(addresses: &[u8]) -> SocketAddr
where
    IpAddr: From<[u8; N]>,
{
    let ip = addresses.first_chunk::<N>().expect("the length was checked");
    let port = u16::from_be_bytes([addresses[2 * N], addresses[2 * N + 1]]);
    SocketAddr::new(IpAddr::from(*ip).to_canonical(), port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(source: &str, length: usize) -> Result<Header, Malformed> {
        Ok(Header::Whole { source: Some(source.parse().unwrap()), length })
    }

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        [&V2_SIGNATURE[..], &[command, family], &length, payload].concat()
    }

    /// The addresses 192.0.2.7 and 198.51.100.1, the ports 56324 and 6000.
    const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x17, 0x70];

    fn v6(source: &str) -> Vec<u8> {
        let source = source.parse::<Ipv6Addr>().unwrap().octets();
        [&source[..], &Ipv6Addr::LOCALHOST.octets(), &[0xdc, 0x04, 0x17, 0x70]].concat()
    }

    #[test]
    fn version_1_names_the_source() {
        let four = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 6000\r\n";
        assert_eq!(parse(four), whole("192.0.2.7:56324", four.len()));
        assert_eq!(parse(&[&four[..], b"{\"msgid\""].concat()), whole("192.0.2.7:56324", four.len()));
        let six = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 6000\r\n";
        assert_eq!(parse(six), whole("[2001:db8::7]:56324", six.len()));
        let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n";
        assert_eq!(parse(mapped), whole("192.0.2.7:1", mapped.len()));
        let longest = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
        assert_eq!(parse(longest), Ok(Header::Whole { source: None, length: longest.len() }));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Ok(Header::Whole { source: None, length: 15 }));
    }

    #[test]
    fn version_1_is_strict() {
        for bad in [
            "PING",
            "PROXY\r\n",
            "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
            "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r2\r\n",
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(Malformed), "{bad:?}");
        }
        let unknown = |length: usize| {
            let filling = "x".repeat(length - "PROXY UNKNOWN \r\n".len());
            parse(format!("PROXY UNKNOWN {filling}\r\n").as_bytes())
        };
        assert_eq!(unknown(V1_BYTES), Ok(Header::Whole { source: None, length: V1_BYTES }));
        assert_eq!(unknown(V1_BYTES + 1), Err(Malformed));
    }

    #[test]
    fn version_2_names_the_source_and_its_tlvs_are_skipped() {
        assert_eq!(parse(&v2(0x21, 0x11, &V4)), whole("192.0.2.7:56324", 28));
        let with_tlvs = v2(0x21, 0x11, &[&V4[..], &[4, 0, 3, 1, 2, 3]].concat());
        assert_eq!(parse(&[&with_tlvs[..], b"C"].concat()), whole("192.0.2.7:56324", 34));
        assert_eq!(parse(&v2(0x21, 0x21, &v6("2001:db8::7"))), whole("[2001:db8::7]:56324", 52));
        assert_eq!(parse(&v2(0x21, 0x21, &v6("::ffff:192.0.2.7"))), whole("192.0.2.7:56324", 52));
        let longest = v2(0x21, 0x11, &[&V4[..], &[0; 65_535 - 12]].concat());
        assert_eq!(parse(&longest), whole("192.0.2.7:56324", 65_551));
    }

    #[test]
    fn version_2_may_name_no_source() {
        let nobody = |bytes: &[u8]| {
            assert_eq!(parse(bytes), Ok(Header::Whole { source: None, length: bytes.len() }));
        };
        nobody(&v2(0x20, 0x00, b""));
        nobody(&v2(0x20, 0x11, &V4));
        nobody(&v2(0x20, 0xff, b"?"));
        nobody(&v2(0x21, 0x00, b""));
        nobody(&v2(0x21, 0x00, b"anything"));
        nobody(&v2(0x21, 0x31, &[0; 216]));
    }

    #[test]
    fn version_2_is_strict() {
        for (command, family, payload) in [
            (0x11, 0x11, &V4[..]),
            (0x22, 0x11, &V4),
            (0x21, 0x12, &V4),
            (0x21, 0x41, &V4),
            (0x21, 0x11, &V4[..11]),
            (0x21, 0x21, &V4),
            (0x21, 0x31, &V4),
        ] {
            assert_eq!(parse(&v2(command, family, payload)), Err(Malformed), "{command:x} {family:x}");
        }
    }

    #[test]
    fn other_streams_are_recognised_at_their_first_different_byte() {
        for direct in ["C", "CC", "{", "\0", " ", "\r{", "\r\n{", "\r\n\r\n\0\r\nQUIT ", "\r\r"] {
            assert_eq!(parse(direct.as_bytes()), Ok(Header::Absent), "{direct:?}");
        }
        for open in ["", "\r", "\r\n", "\r\n\r\n\0\r\nQUIT"] {
            assert_eq!(parse(open.as_bytes()), Ok(Header::Possible), "{open:?}");
        }
    }

    #[test]
    fn requests_of_http_are_told_from_headers() {
        for request in ["G", "POST / HTTP/1.1", "PU", "PROPFIND", "\r\nGET"] {
            assert!(!may_begin(request.as_bytes()), "{request:?}");
        }
        for header in ["", "P", "PROX", "PROXY TCP4 ", "\r\n", "\r\n\r\n\0\r\nQUIT\n!"] {
            assert!(may_begin(header.as_bytes()), "{header:?}");
        }
    }

    fn header() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<([u8; 4], u16)>().prop_map(|(ip, port)| {
                format!("PROXY TCP4 {} 10.0.0.1 {port} 6000\r\n", Ipv4Addr::from(ip)).into_bytes()
            }),
            any::<([u8; 16], u16)>().prop_map(|(ip, port)| {
                format!("PROXY TCP6 {} ::1 {port} 6000\r\n", Ipv6Addr::from(ip)).into_bytes()
            }),
            (any::<[u8; 12]>(), proptest::collection::vec(any::<u8>(), 0..300))
                .prop_map(|(addresses, tlvs)| v2(0x21, 0x11, &[&addresses[..], &tlvs].concat())),
            proptest::collection::vec(any::<u8>(), 36..300).prop_map(|payload| v2(0x21, 0x21, &payload)),
            proptest::collection::vec(any::<u8>(), 0..100).prop_map(|payload| v2(0x20, 0x00, &payload)),
        ]
    }

    proptest! {
        /// However a header is split, it is begun until it is complete, and what follows it changes nothing.
        #[test]
        fn any_split_is_the_same_header(header in header(), after in any::<Vec<u8>>()) {
            for cut in 0..header.len() {
                prop_assert!(matches!(parse(&header[..cut]), Ok(Header::Possible | Header::Begun)), "{}", cut);
            }
            let whole = parse(&header);
            let is_whole = matches!(whole, Ok(Header::Whole { length, .. }) if length == header.len());
            prop_assert!(is_whole, "{:?}", whole);
            prop_assert_eq!(parse(&[&header[..], &after].concat()), whole);
        }

        /// More bytes never change a final verdict.
        #[test]
        fn a_verdict_is_final(start in prop_oneof![
            Just(vec![]), Just(b"PROXY ".to_vec()), Just(b"PROXY TCP4 1.2.3.4 ".to_vec()), Just(V2_SIGNATURE.to_vec()),
            Just([&V2_SIGNATURE[..], &[0x21, 0x11, 0]].concat())
        ], rest in proptest::collection::vec(any::<u8>(), 0..400)) {
            let bytes = [start, rest].concat();
            let mut verdict = None;
            for length in 0..=bytes.len() {
                let now = parse(&bytes[..length]);
                if let Ok(Header::Whole { length: used, .. }) = now {
                    prop_assert!(used <= length);
                }
                match verdict {
                    Some(verdict) => prop_assert_eq!(now, verdict),
                    None if matches!(now, Ok(Header::Possible | Header::Begun)) => {}
                    None => verdict = Some(now),
                }
            }
        }
    }
}
