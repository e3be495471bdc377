//! A connection without its socket: bytes of requests in, bytes of answers out, in the order of the requests.

use crate::request::{Method, Request};
use crate::response::Response;
use crate::status::Status;
use shiguredo_http11::{BodyKind, BodyProgress, DecoderLimits, Error, RequestDecoder};

/// A head: its lines and their ends.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;
const FIELDS: usize = 100;
/// Before a request.
const EMPTY_LINES: usize = 4;
/// A body that is read and thrown away, because no path of this version takes one.
const BODY_BYTES: u64 = 64 * 1024;
/// Answers that are not written yet. Above this, no further request is answered.
const OUTPUT_BYTES: usize = 16 * 1024;
/// Bytes of a body that are decoded at once: what is left is moved with each chunk.
const PIECE_BYTES: usize = 1024;

/// What the connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// For a request: none has begun.
    Idle,
    /// For the rest of a head.
    Head,
    /// For the rest of a body.
    Body,
    /// For nothing: the connection ends when its output is written.
    End,
}

#[derive(Debug)]
pub(crate) struct Exchange {
    decoder: RequestDecoder,
    /// Received. The first `taken` bytes are decoded, and the bytes up to `searched` hold no end of a line.
    pending: Vec<u8>,
    taken: usize,
    searched: usize,
    /// Bytes of the head that has begun.
    head_bytes: usize,
    /// Empty lines since the last request.
    empty_lines: usize,
    /// A request whose body has not ended.
    request: Option<Request>,
    pub output: Vec<u8>,
    is_over: bool,
}

impl Exchange {
    pub fn new() -> Exchange {
        let limits = DecoderLimits {
            max_buffer_size: 2 * HEAD_BYTES,
            max_headers_count: FIELDS,
            max_header_line_size: HEAD_BYTES,
            max_body_size: BODY_BYTES,
            ..DecoderLimits::default()
        };
        Exchange {
            decoder: RequestDecoder::with_limits(limits),
            pending: Vec::new(),
            taken: 0,
            searched: 0,
            head_bytes: 0,
            empty_lines: 0,
            request: None,
            output: Vec::new(),
            is_over: false,
        }
    }

    pub fn waits(&self) -> Waits {
        match () {
            () if self.is_over => Waits::End,
            () if self.request.is_some() => Waits::Body,
            () if self.head_bytes > 0 || !self.pending.is_empty() => Waits::Head,
            () => Waits::Idle,
        }
    }

    /// Whether the peer's bytes may be read.
    pub fn takes_input(&self) -> bool {
        !self.is_over && self.pending.len() < HEAD_BYTES && self.output.len() < OUTPUT_BYTES
    }

    /// Takes bytes of the peer, and answers the requests that are complete.
    pub fn take_in(&mut self, bytes: &[u8], answer: &mut impl FnMut(&Request) -> Response) {
        self.pending.extend_from_slice(bytes);
        self.proceed(answer);
    }

    /// Goes on with what is pending, after output was written.
    pub fn proceed(&mut self, answer: &mut impl FnMut(&Request) -> Response) {
        while !self.is_over && self.output.len() < OUTPUT_BYTES {
            let went_on = match self.request.is_some() {
                true => self.take_body(answer),
                false => self.take_head(answer),
            };
            match went_on {
                Ok(true) => {}
                Ok(false) => break,
                Err(status) => self.refuse(status),
            }
        }
        if self.is_over {
            self.pending = Vec::new();
        } else {
            self.pending.drain(..self.taken);
        }
        self.searched = self.searched.saturating_sub(self.taken);
        self.taken = 0;
    }

    /// The peer has taken too long.
    pub fn time_out(&mut self) {
        match self.waits() {
            Waits::Idle | Waits::End => self.is_over = true,
            Waits::Head | Waits::Body => self.refuse(Status::RequestTimeout),
        }
    }

    /// No further request is taken.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// Refuses the request that has begun; nothing that follows is taken for another one.
    fn refuse(&mut self, status: Status) {
        Response::plain(status).encode(&Method::Get, false, &mut self.output);
        self.is_over = true;
    }

    /// Returns whether there may be more to do.
    fn take_head(&mut self, answer: &mut impl FnMut(&Request) -> Response) -> Result<bool, Status> {
        // Line by line, so that nothing behind the head is handed over, and a line's end is never taken for another.
        let from = self.searched.max(self.taken);
        let Some(end) = self.pending[from..].iter().position(|&byte| byte == b'\n') else {
            self.searched = self.pending.len();
            let is_long = self.head_bytes + self.pending.len() - self.taken >= HEAD_BYTES;
            return if is_long { Err(Status::BadRequest) } else { Ok(false) };
        };
        let line = &self.pending[self.taken..=from + end];
        self.taken = from + end + 1;
        // Empty lines before a request (RFC 9112, 2.2).
        if line == b"\r\n" && self.head_bytes == 0 {
            self.empty_lines += 1;
            return if self.empty_lines > EMPTY_LINES { Err(Status::BadRequest) } else { Ok(true) };
        }
        self.head_bytes += line.len();
        if self.head_bytes > HEAD_BYTES {
            return Err(Status::BadRequest);
        }
        if !is_line(line) {
            return Err(Status::BadRequest);
        }
        self.decoder.feed(line).map_err(status)?;
        let Some((head, body)) = self.decoder.decode_headers().map_err(status)? else { return Ok(true) };
        (self.head_bytes, self.empty_lines) = (0, 0);
        let request = Request::of(&head, body)?;
        if body == BodyKind::None || body == BodyKind::ContentLength(0) {
            self.answer(&request, answer);
            return Ok(true);
        }
        if request.expects_continue {
            self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.request = Some(request);
        Ok(true)
    }

    fn take_body(&mut self, answer: &mut impl FnMut(&Request) -> Response) -> Result<bool, Status> {
        // The decoder takes no more than the body: what follows stays in its buffer and comes back at the end.
        let room = self.decoder.available_buf().min(self.pending.len() - self.taken).min(PIECE_BYTES);
        self.decoder.feed(&self.pending[self.taken..self.taken + room]).map_err(status)?;
        self.taken += room;
        loop {
            let length = self.decoder.peek_body().map_or(0, <[u8]>::len);
            let progress = match length {
                0 => self.decoder.progress(),
                length => self.decoder.consume_body(length),
            };
            match progress.map_err(status)? {
                BodyProgress::Complete { .. } => break,
                BodyProgress::Advanced => {}
                _ if length > 0 => {}
                _ => return Ok(room > 0 && self.taken < self.pending.len()),
            }
        }
        let mut rest = self.decoder.take_remaining();
        rest.extend_from_slice(&self.pending[self.taken..]);
        (self.pending, self.taken, self.searched) = (rest, 0, 0);
        let Some(request) = self.request.take() else { return Ok(true) };
        self.answer(&request, answer);
        Ok(true)
    }

    fn answer(&mut self, request: &Request, answer: &mut impl FnMut(&Request) -> Response) {
        answer(request).encode(&request.method, request.keeps_alive, &mut self.output);
        self.is_over = !request.keeps_alive;
    }
}

/// Whether a line ends as it must, and has no byte that programs disagree about.
fn is_line(line: &[u8]) -> bool {
    let Some(text) = line.strip_suffix(b"\r\n") else { return false };
    let is_folded = text.first().is_some_and(|first| matches!(first, b' ' | b'\t'));
    !is_folded && text.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

fn status(error: Error) -> Status {
    match error {
        Error::BodyTooLarge { .. } => Status::ContentTooLarge,
        _ => Status::BadRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is answered to these bytes, given in pieces of this length.
    fn answered(bytes: &[u8], piece: usize) -> (String, Waits) {
        let mut exchange = Exchange::new();
        let mut answer =
            |request: &Request| Response::new(Status::Ok, "text/plain", format!("[{}]", request.path));
        for piece in bytes.chunks(piece) {
            assert!(
                exchange.takes_input() || exchange.waits() == Waits::End,
                "it waits for what is never read"
            );
            exchange.take_in(piece, &mut answer);
        }
        (String::from_utf8(exchange.output.clone()).unwrap(), exchange.waits())
    }

    fn statuses(bytes: &[u8]) -> Vec<String> {
        let (whole, waits) = answered(bytes, usize::MAX);
        for piece in [1, 2, 7, 100] {
            assert_eq!(
                answered(bytes, piece),
                (whole.clone(), waits),
                "{piece}: {:?}",
                String::from_utf8_lossy(bytes)
            );
        }
        let lines = whole.split("HTTP/1.1 ").skip(1);
        lines.map(|answer| answer[..3].to_owned()).collect()
    }

    #[test]
    fn requests_are_answered_in_their_order_however_they_are_split() {
        let three = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /c?x=/.. HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /d";
        let (text, waits) = answered(three, 3);
        assert_eq!(waits, Waits::End);
        let places: Vec<usize> =
            ["[/a]", "[/b]", "[/c]"].iter().map(|part| text.find(part).unwrap()).collect();
        assert!(places.is_sorted() && !text.contains("[/d]"), "{text}");
        assert_eq!(statuses(three), ["200", "200", "200"]);
        let chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(statuses(chunked), ["200", "200"]);
        assert_eq!(
            statuses(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi"),
            ["100", "200"]
        );
        assert_eq!(statuses(b"GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n"), ["200"]);
        assert_eq!(statuses(b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n"), ["200"]);
        let (head, _) = answered(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", 9);
        assert!(head.contains("Content-Length: 3\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn lines_without_a_request_are_bounded() {
        let few = [b"\r\n".repeat(EMPTY_LINES), b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec()].concat();
        assert_eq!(statuses(&few), ["200"]);
        assert_eq!(statuses(&b"\r\n".repeat(9_000)), ["400"]);
        // Without any end of a line.
        for length in [HEAD_BYTES, HEAD_BYTES + 1] {
            assert_eq!(statuses(&b"x".repeat(length)), ["400"]);
        }
        // A head of exactly the greatest length, and one byte more.
        for (length, status) in [(HEAD_BYTES, "200"), (HEAD_BYTES + 1, "400")] {
            let frame = "GET / HTTP/1.1\r\nHost: h\r\nx: \r\n\r\n".len();
            let head = format!("GET / HTTP/1.1\r\nHost: h\r\nx: {}\r\n\r\n", "y".repeat(length - frame));
            assert_eq!(statuses(head.as_bytes()), [status]);
        }
    }

    #[test]
    fn hostile_heads_are_refused_and_end_the_connection() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(200_000));
        let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(101));
        for (head, status) in [
            ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h:\r\n\r\n", "400"),
            ("GET / HTTP/1.0\r\nHost: h,i\r\n\r\n", "400"),
            ("GET /ä HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", "400"),
            ("GET / HTTP/1.1\nHost: h\n\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\nx: a\0b\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: h\r\nx: a\rb\r\n\r\n", "400"),
            ("GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("GET /../x HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("GET /%2e%2e/x HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"),
            ("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
            (&long, "400"),
            (&many, "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ,\r\nContent-Length: 5\r\n\r\nhello", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked,\r\n\r\n", "400"),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
            ("POST / HTTP/1.0\r\nTransfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ,5,\r\n\r\nhello", "400"),
            ("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\nCONTENT-LENGTH: 5\r\n\r\nhello", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", "400"),
            ("POST / HTTP/1.1\r\nHost: h\r\nTrailer: a\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
        ] {
            let shown = &head[..head.len().min(120)];
            // Nothing behind a refused head is taken for a request.
            let bytes = [head.as_bytes(), b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
            assert_eq!(statuses(&bytes), [status], "{shown:?}");
            assert_eq!(answered(&bytes, usize::MAX).1, Waits::End, "{shown:?}");
        }
    }
}
