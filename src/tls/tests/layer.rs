//! Both ends of a connection over pipes in memory: narrow ones, and ones on which somebody changes what passes.

#![allow(clippy::unwrap_used, reason = "test support")]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::collections::VecDeque;
use std::fs;
use std::io::{ErrorKind, Read, Result, Write};
use tls::{Acceptor, Client, Identity, Layer, Role, Server, Trust, fault_in, is_session_error};

const HOST: &str = "chat.example";
/// Runs with changed bytes.
const RUNS: u64 = 1_500;

/// What one end reads and writes.
#[derive(Default)]
struct Pipe {
    incoming: VecDeque<u8>,
    outgoing: VecDeque<u8>,
    /// Bytes that `outgoing` holds at most.
    room: usize,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.incoming.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.incoming.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let taken = bytes.len().min(self.room.saturating_sub(self.outgoing.len()));
        if taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.outgoing.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// One end and its pipe.
struct End<R: Role> {
    layer: Layer<R>,
    pipe: Pipe,
    received: Vec<u8>,
}

impl<R: Role> End<R> {
    fn new(layer: Layer<R>, room: usize) -> End<R> {
        End { layer, pipe: Pipe { room, ..Pipe::default() }, received: Vec::new() }
    }

    /// Reads what there is, with a buffer of this length.
    fn read(&mut self, buffer: usize) -> Result<()> {
        let mut buffer = vec![0; buffer];
        loop {
            match self.layer.read(&mut self.pipe, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.layer.has_more() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes from `sent` on, as much as the pipe takes.
    fn write(&mut self, bytes: &[u8], sent: &mut usize) -> Result<()> {
        match self.layer.write(&mut self.pipe, &bytes[*sent..]) {
            Ok(length) => *sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The numbers of a run, from its seed (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

struct Setting {
    acceptor: Acceptor,
    trust: Trust,
}

impl Setting {
    fn new() -> Setting {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let issued = CertificateParams::new(vec![HOST.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let identity = Identity::from_pem(issued.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        Setting { acceptor: Acceptor::new(identity).unwrap(), trust: Trust::of_file("--ca", &file).unwrap() }
    }

    fn ends(&self, room: usize) -> (End<Client>, End<Server>) {
        let client = Layer::connect(&self.trust, HOST).unwrap();
        (End::new(client, room), End::new(Layer::accept(&self.acceptor).unwrap(), room))
    }
}

fn pass<A: Role, B: Role>(from: &mut End<A>, to: &mut End<B>, random: &mut Random) {
    let length = from.pipe.outgoing.len().min(1 + random.below(20_000));
    to.pipe.incoming.extend(from.pipe.outgoing.drain(..length));
}

#[test]
fn every_byte_arrives_once_and_in_order_through_narrow_pipes_and_small_buffers() {
    let setting = Setting::new();
    for seed in 1..=40 {
        let mut random = Random::new(seed);
        let room = [1, 7, 100, 5_000, 100_000][random.below(5)];
        let buffer = [1, 100, 8_192, 65_536][random.below(4)];
        let (mut client, mut server) = setting.ends(room);
        let bytes = |length: usize, salt: usize| -> Vec<u8> {
            (0..length).map(|at| (at * 31 + at / 251 + salt) as u8).collect()
        };
        let length = if room < 100 { 3_000 } else { 200_000 };
        let (up, down) = (bytes(length, 1), bytes(length, 2));
        let (mut up_sent, mut down_sent, mut turns) = (0, 0, 0);
        while client.received.len() < down.len() || server.received.len() < up.len() {
            if !client.layer.continue_handshake(&mut client.pipe).unwrap() {
                assert_eq!(
                    client.layer.read(&mut client.pipe, &mut [0]).unwrap_err().kind(),
                    ErrorKind::WouldBlock
                );
            }
            server.layer.continue_handshake(&mut server.pipe).unwrap();
            client.write(&up, &mut up_sent).unwrap();
            server.write(&down, &mut down_sent).unwrap();
            pass(&mut client, &mut server, &mut random);
            pass(&mut server, &mut client, &mut random);
            client.read(buffer).unwrap();
            server.read(buffer).unwrap();
            turns += 1;
            assert!(turns < 1_000_000, "seed {seed}: nothing moves");
        }
        assert!(client.received == down && server.received == up, "seed {seed}");
        // The end of the output, announced.
        client.pipe.room = usize::MAX;
        client.layer.close(&mut client.pipe).unwrap();
        while !client.pipe.outgoing.is_empty() {
            pass(&mut client, &mut server, &mut random);
            server.read(buffer).unwrap();
        }
        assert_eq!(server.layer.read(&mut server.pipe, &mut [0; 10]).unwrap(), 0, "seed {seed}");
        assert!(!server.layer.has_more() && server.layer.unsent() == 0);
    }
}

#[test]
fn whatever_a_client_sends_the_server_ends_or_waits_but_never_panics() {
    let setting = Setting::new();
    let (mut ended, mut went_on) = (0, 0);
    for seed in 1..=RUNS {
        let mut random = Random::new(seed);
        let (mut client, mut server) = setting.ends(usize::MAX);
        // Which of the client's flights is changed.
        let (wrong, mut flights, mut sent) = (random.below(4), 0, 0);
        let mut failed = false;
        for _ in 0..12 {
            let _ = client.layer.continue_handshake(&mut client.pipe);
            let _ = client.write(&[b'x'; 1_000], &mut sent);
            sent = 0;
            let mut flight: Vec<u8> = client.pipe.outgoing.drain(..).collect();
            if !flight.is_empty() && flights == wrong {
                change(&mut flight, &mut random);
            }
            flights += usize::from(!flight.is_empty());
            while !flight.is_empty() && !failed {
                let length = flight.len().min(1 + random.below(2_000));
                server.pipe.incoming.extend(flight.drain(..length));
                let step = match server.layer.is_handshaking() {
                    true => server.layer.continue_handshake(&mut server.pipe).map(drop),
                    false => server.read(4_096),
                };
                if let Err(error) = step {
                    assert!(is_session_error(&error), "seed {seed}: {error}");
                    failed = true;
                }
            }
            if failed {
                // Nothing is done on a connection that has failed, whatever is asked.
                server.pipe.incoming.extend([0x16; 100]);
                // What was decrypted before the failure may still be read, nothing else.
                let _ = server.layer.read(&mut server.pipe, &mut [0; 65_536]);
                let read = server.layer.read(&mut server.pipe, &mut [0; 100]);
                assert!(!matches!(read, Ok(1..)), "seed {seed}: {read:?}");
                let _ = server.layer.write(&mut server.pipe, b"late");
                let _ = server.layer.close(&mut server.pipe);
                break;
            }
            client.pipe.incoming.extend(server.pipe.outgoing.drain(..));
            let _ = client.read(4_096);
        }
        *if failed { &mut ended } else { &mut went_on } += 1;
    }
    assert!(ended > RUNS / 2 && went_on > 0, "{ended} of {RUNS} were refused");
}

/// Flips, removes, repeats or inserts some bytes, or puts a record of another kind before them.
fn change(flight: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(flight.len());
        match random.below(7) {
            0 => flight[at] ^= 1 << random.below(8),
            1 => flight.truncate(at),
            2 => drop(flight.remove(at)),
            3 => flight.insert(at, random.below(256) as u8),
            4 => {
                let again: Vec<u8> = flight[at..].iter().copied().take(random.below(300)).collect();
                flight.splice(at..at, again);
            }
            5 => {
                let kind = [0x14, 0x15, 0x16, 0x17, 0x18][random.below(5)];
                let body = random.below(40);
                let mut record = vec![kind, 3, 3, 0, body as u8];
                record.extend((0..body).map(|_| random.below(256) as u8));
                flight.splice(0..0, record);
            }
            _ => {
                // The lengths in the header of the first record and message.
                let at = 3 + random.below(6);
                if let Some(byte) = flight.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
        }
        if flight.is_empty() {
            return;
        }
    }
}

#[test]
fn a_client_that_only_changes_keys_is_refused_and_one_read_takes_little() {
    let setting = Setting::new();
    let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
    let mut client = rustls::ClientConnection::new(setting.trust.config(), name).unwrap();
    let (_, mut server) = setting.ends(usize::MAX);
    while client.is_handshaking() || server.layer.is_handshaking() {
        let mut flight = Vec::new();
        client.write_tls(&mut flight).unwrap();
        server.pipe.incoming.extend(flight);
        server.layer.continue_handshake(&mut server.pipe).unwrap();
        while !server.pipe.outgoing.is_empty() {
            client.read_tls(&mut server.pipe.outgoing).unwrap();
        }
        client.process_new_packets().unwrap();
    }
    client.set_buffer_limit(None);
    let mut sent = 0;
    for _ in 0..6_000 {
        client.refresh_traffic_keys().unwrap();
        client.writer().write_all(b"x").unwrap();
        sent += 1;
    }
    let mut records = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut records).unwrap();
    }
    server.pipe.incoming.extend(&records);
    let (mut buffer, mut received) = ([0; 16_384], 0);
    let error = loop {
        let before = server.pipe.incoming.len();
        match server.layer.read(&mut server.pipe, &mut buffer) {
            Ok(length) => received += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock && server.layer.has_more() => {}
            Err(error) => break error,
        }
        assert!(before - server.pipe.incoming.len() <= 17_000, "one read took {before}");
    };
    assert!(is_session_error(&error), "{error}");
    assert!(received < sent / 2, "{received} of {sent} were taken");
}

#[test]
fn nothing_is_computed_for_a_client_that_has_ended_its_output() {
    /// A stream at its end.
    struct Ended;
    impl Read for Ended {
        fn read(&mut self, _buffer: &mut [u8]) -> Result<usize> {
            Ok(0)
        }
    }
    impl Write for Ended {
        fn write(&mut self, _bytes: &[u8]) -> Result<usize> {
            panic!("the server has answered");
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }
    let setting = Setting::new();
    let (mut client, mut server) = setting.ends(usize::MAX);
    client.layer.continue_handshake(&mut client.pipe).unwrap();
    let hello: Vec<u8> = client.pipe.outgoing.drain(..).collect();
    server.layer.begin(&hello);
    assert_eq!(server.layer.continue_handshake(&mut Ended).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn what_comes_after_the_last_read_of_the_handshake_is_asked_for() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.ends(usize::MAX);
    while !client.layer.continue_handshake(&mut client.pipe).unwrap() {
        server.pipe.incoming.append(&mut client.pipe.outgoing);
        assert!(!server.layer.continue_handshake(&mut server.pipe).unwrap());
        client.pipe.incoming.append(&mut server.pipe.outgoing);
    }
    // The first message comes with the end of the handshake, the second one before the first is read.
    client.write(b"first", &mut 0).unwrap();
    server.pipe.incoming.append(&mut client.pipe.outgoing);
    assert!(server.layer.continue_handshake(&mut server.pipe).unwrap());
    assert!(server.layer.has_more());
    client.write(b"second", &mut 0).unwrap();
    server.pipe.incoming.append(&mut client.pipe.outgoing);
    let mut buffer = [0; 100];
    let mut read = |server: &mut End<Server>| {
        let length = server.layer.read(&mut server.pipe, &mut buffer).unwrap();
        buffer[..length].to_vec()
    };
    assert_eq!(read(&mut server), b"first");
    assert!(server.layer.has_more(), "no event of the stream may come for the second one");
    assert_eq!(read(&mut server), b"second");
    assert!(!server.layer.has_more());
}

#[test]
fn a_client_names_what_is_wrong_with_its_server() {
    let (setting, other) = (Setting::new(), Setting::new());
    let failure = |trust: &Trust, host: &str| {
        let mut client = End::new(Layer::connect(trust, host).unwrap(), usize::MAX);
        let mut server = End::new(Layer::accept(&setting.acceptor).unwrap(), usize::MAX);
        loop {
            if let Err(error) = client.layer.continue_handshake(&mut client.pipe) {
                return fault_in(&error).unwrap().to_string();
            }
            assert!(client.layer.is_handshaking(), "the certificate was accepted");
            server.pipe.incoming.extend(client.pipe.outgoing.drain(..));
            server.layer.continue_handshake(&mut server.pipe).unwrap();
            client.pipe.incoming.extend(server.pipe.outgoing.drain(..));
        }
    };
    assert!(failure(&other.trust, HOST).contains("is not signed by an authority in "));
    assert!(
        failure(&setting.trust, "other.example")
            .contains("is not valid for other.example but for chat.example")
    );
    // A server that does not know TLS closes the connection, or answers in its own protocol.
    let mut client = End::new(Layer::connect(&setting.trust, HOST).unwrap(), usize::MAX);
    client.pipe.incoming.extend(b"CHAT is what I speak\r\n");
    let error = client.layer.continue_handshake(&mut client.pipe).unwrap_err();
    assert_eq!(fault_in(&error).unwrap().to_string(), "chat.example does not speak TLS on this port");
    assert!(Layer::connect(&setting.trust, "not a name").is_err());
}
