//! A connection without its socket: bytes of requests in, bytes of answers out, in the order of the requests.
//!
//! An answer may come later. Until then nothing else of the connection is looked at, so that answers keep their order.

use crate::request::{Method, Request};
use crate::response::Response;
use crate::status::Status;
use shiguredo_http11::{BodyKind, BodyProgress, DecoderLimits, Error, RequestDecoder};

/// A head: its lines and their ends.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;
const FIELDS: usize = 100;
/// Before a request.
const EMPTY_LINES: usize = 4;
/// The longest body. A connection whose request has a longer one ends.
pub(crate) const BODY_BYTES: usize = 64 * 1024;
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
    /// For an answer to a complete request.
    Answer,
    /// For nothing: the connection ends when its output is written.
    End,
}

/// What has been received of a request.
#[derive(Debug)]
pub(crate) enum Received {
    /// Its head. A body follows.
    Head,
    /// All of it; the body is empty where there is none.
    Whole(Vec<u8>),
    /// Its head, and a body that is too long.
    TooLarge,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Decision {
    Answer(Response),
    /// Its body, which follows, is read and thrown away.
    Skip,
    /// Its body is read, or, if all of it is received, it is answered by [`Exchange::answer_later`].
    Wait,
}

/// A request whose body has not ended.
#[derive(Debug)]
struct Incomplete {
    request: Request,
    body: Vec<u8>,
    /// Its length so far.
    length: usize,
    /// Whether its bytes are kept; nobody looks at those of others.
    is_kept: bool,
    /// What is answered whatever the body is.
    decided: Option<Response>,
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
    incomplete: Option<Box<Incomplete>>,
    /// How many bodies have begun; wraps around.
    bodies: u32,
    /// A request whose answer comes later.
    awaiting: Option<Box<Request>>,
    pub output: Vec<u8>,
    is_over: bool,
    /// The protocol was switched: what is pending is none of HTTP's.
    is_switched: bool,
}

impl Exchange {
    pub fn new() -> Exchange {
        let limits = DecoderLimits {
            max_buffer_size: 2 * HEAD_BYTES,
            max_headers_count: FIELDS,
            max_header_line_size: HEAD_BYTES,
            // Counted here, as the limit is not the first thing that a request is refused for.
            max_body_size: u64::MAX,
            ..DecoderLimits::default()
        };
        Exchange {
            decoder: RequestDecoder::with_limits(limits),
            pending: Vec::new(),
            taken: 0,
            searched: 0,
            head_bytes: 0,
            empty_lines: 0,
            incomplete: None,
            bodies: 0,
            awaiting: None,
            output: Vec::new(),
            is_over: false,
            is_switched: false,
        }
    }

    pub fn waits(&self) -> Waits {
        match () {
            () if self.is_over => Waits::End,
            () if self.awaiting.is_some() => Waits::Answer,
            () if self.incomplete.is_some() => Waits::Body,
            () if self.head_bytes > 0 || !self.pending.is_empty() => Waits::Head,
            () => Waits::Idle,
        }
    }

    /// How many bodies have begun. It wraps around: it only tells two that follow each other apart.
    pub fn bodies(&self) -> u32 {
        self.bodies
    }

    /// Whether the peer's bytes may be read.
    pub fn takes_input(&self) -> bool {
        !self.is_over
            && self.awaiting.is_none()
            && self.pending.len() < HEAD_BYTES
            && self.output.len() < OUTPUT_BYTES
    }

    /// Takes bytes of the peer, and answers the requests that are complete.
    pub fn take_in(&mut self, bytes: &[u8], answer: &mut impl FnMut(&Request, Received) -> Decision) {
        self.pending.extend_from_slice(bytes);
        self.proceed(answer);
    }

    /// Goes on with what is pending, after output was written.
    pub fn proceed(&mut self, answer: &mut impl FnMut(&Request, Received) -> Decision) {
        while !self.is_over && self.awaiting.is_none() && self.output.len() < OUTPUT_BYTES {
            let went_on = match self.incomplete.is_some() {
                true => self.take_body(answer),
                false => self.take_head(answer),
            };
            match went_on {
                Ok(true) => {}
                Ok(false) => break,
                Err(status) => self.refuse(status),
            }
        }
        if self.is_over && !self.is_switched {
            self.pending = Vec::new();
        } else {
            self.pending.drain(..self.taken);
        }
        self.searched = self.searched.saturating_sub(self.taken);
        self.taken = 0;
    }

    /// Whether the connection speaks another protocol from now on.
    pub fn is_switched(&self) -> bool {
        self.is_switched
    }

    /// What was received behind the last request.
    pub fn into_pending(self) -> Vec<u8> {
        self.pending
    }

    /// The peer has taken too long.
    pub fn time_out(&mut self) {
        match self.waits() {
            Waits::Idle | Waits::End => self.is_over = true,
            Waits::Head | Waits::Body => self.refuse(Status::RequestTimeout),
            Waits::Answer => {}
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
    fn take_head(&mut self, answer: &mut impl FnMut(&Request, Received) -> Decision) -> Result<bool, Status> {
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
        let mut request = Request::of(&head, body)?;
        if !request.has_body {
            self.conclude(request, Received::Whole(Vec::new()), answer);
            return Ok(true);
        }
        let (decided, is_kept) = match answer(&request, Received::Head) {
            Decision::Answer(response) => (Some(response), false),
            Decision::Skip => (None, false),
            Decision::Wait => (None, true),
        };
        let is_long = matches!(body, BodyKind::ContentLength(length) if length > BODY_BYTES as u64);
        // A body of which is not known where it ends, or that is not read to its end: nothing that follows is looked at.
        if is_long || (decided.is_some() && request.expects_continue) {
            request.keeps_alive = false;
            match decided {
                Some(response) => self.answer(&request, &response),
                None => self.conclude(request, Received::TooLarge, answer),
            }
            return Ok(true);
        }
        if request.expects_continue {
            self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.bodies = self.bodies.wrapping_add(1);
        self.incomplete =
            Some(Box::new(Incomplete { request, body: Vec::new(), length: 0, is_kept, decided }));
        Ok(true)
    }

    fn take_body(&mut self, answer: &mut impl FnMut(&Request, Received) -> Decision) -> Result<bool, Status> {
        // The decoder takes no more than the body: what follows stays in its buffer and comes back at the end.
        let room = self.decoder.available_buf().min(self.pending.len() - self.taken).min(PIECE_BYTES);
        self.decoder.feed(&self.pending[self.taken..self.taken + room]).map_err(status)?;
        self.taken += room;
        loop {
            let piece = self.decoder.peek_body().unwrap_or_default();
            let length = piece.len();
            if let Some(incomplete) = &mut self.incomplete {
                incomplete.length += length;
                if incomplete.is_kept && incomplete.length <= BODY_BYTES {
                    incomplete.body.extend_from_slice(piece);
                }
            }
            let progress = match length {
                0 => self.decoder.progress(),
                length => self.decoder.consume_body(length),
            };
            let is_long = self.incomplete.as_ref().is_some_and(|incomplete| incomplete.length > BODY_BYTES);
            if is_long {
                self.cut_body(answer);
                return Ok(true);
            }
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
        let Some(incomplete) = self.incomplete.take() else { return Ok(true) };
        let Incomplete { request, body, decided, .. } = *incomplete;
        match decided {
            Some(response) => self.answer(&request, &response),
            None => self.conclude(request, Received::Whole(body), answer),
        }
        Ok(true)
    }

    /// The body that is being read is too long: the connection ends.
    fn cut_body(&mut self, answer: &mut impl FnMut(&Request, Received) -> Decision) {
        let Some(incomplete) = self.incomplete.take() else { return };
        let Incomplete { mut request, decided, .. } = *incomplete;
        request.keeps_alive = false;
        match decided {
            Some(response) => self.answer(&request, &response),
            None => self.conclude(request, Received::TooLarge, answer),
        }
    }

    /// Has a request answered, now or later.
    fn conclude(
        &mut self,
        request: Request,
        received: Received,
        answer: &mut impl FnMut(&Request, Received) -> Decision,
    ) {
        match answer(&request, received) {
            Decision::Answer(response) => self.answer(&request, &response),
            Decision::Wait | Decision::Skip => self.awaiting = Some(Box::new(request)),
        }
    }

    /// Answers the request that was left to be answered later.
    pub fn answer_later(&mut self, response: &Response) {
        if let Some(request) = self.awaiting.take() {
            self.answer(&request, response);
        }
    }

    fn answer(&mut self, request: &Request, response: &Response) {
        response.encode(&request.method, request.keeps_alive, &mut self.output);
        self.is_switched = response.status == Status::SwitchingProtocols;
        self.is_over = !request.keeps_alive || self.is_switched;
    }
}

/// Whether a line ends as it must, and has no byte that programs disagree about.
fn is_line(line: &[u8]) -> bool {
    let Some(text) = line.strip_suffix(b"\r\n") else { return false };
    let is_folded = text.first().is_some_and(|first| matches!(first, b' ' | b'\t'));
    !is_folded && text.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

fn status(_: Error) -> Status {
    Status::BadRequest
}

#[cfg(test)]
mod tests;
