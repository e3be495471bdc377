//! Bytes of requests, whole and in pieces, and what is answered to them.

use super::*;

/// What is answered to these bytes, given in pieces of this length.
fn answered(bytes: &[u8], piece: usize) -> (String, Waits) {
    let mut exchange = Exchange::new();
    let mut answer = |request: &Request, received: Received| match received {
        Received::Head if request.path == "/refused" => Decision::Answer(Response::plain(Status::NotFound)),
        Received::Head => Decision::Wait,
        Received::Whole(_) => {
            Decision::Answer(Response::new(Status::Ok, "text/plain", format!("[{}]", request.path)))
        }
        Received::TooLarge => Decision::Answer(Response::plain(Status::ContentTooLarge)),
    };
    for piece in bytes.chunks(piece) {
        assert!(exchange.takes_input() || exchange.waits() == Waits::End, "it waits for what is never read");
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
    let places: Vec<usize> = ["[/a]", "[/b]", "[/c]"].iter().map(|part| text.find(part).unwrap()).collect();
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
fn a_body_is_handed_over_whole_or_not_at_all() {
    let mut bodies = Vec::new();
    let mut exchange = Exchange::new();
    let mut take = |request: &Request, received: Received| {
        if request.path == "/skipped" && matches!(received, Received::Head) {
            return Decision::Skip;
        }
        if let Received::Whole(body) = received {
            bodies.push(String::from_utf8(body).unwrap());
            return Decision::Answer(Response::plain(Status::Ok));
        }
        Decision::Wait
    };
    let bytes = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
        POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n\
        POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n\
        POST /skipped HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    bytes.chunks(3).for_each(|piece| exchange.take_in(piece, &mut take));
    assert_eq!(bodies, ["hello", "abcde", "", ""]);

    let post = |path: &str, fields: &str| format!("POST {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
    let (most, chunked) = ("x".repeat(BODY_BYTES), "Transfer-Encoding: chunked\r\n");
    for (path, length, chunks, status) in [
        ("/", BODY_BYTES, format!("{BODY_BYTES:x}\r\n{most}\r\n0\r\n\r\n"), "200"),
        ("/", BODY_BYTES + 1, format!("{BODY_BYTES:x}\r\n{most}\r\n1\r\nx\r\n0\r\n\r\n"), "413"),
        // What it is refused for counts before its length.
        ("/refused", BODY_BYTES, format!("{BODY_BYTES:x}\r\n{most}\r\n0\r\n\r\n"), "404"),
        ("/refused", BODY_BYTES + 1, format!("{BODY_BYTES:x}\r\n{most}\r\n1\r\nx\r\n0\r\n\r\n"), "404"),
    ] {
        let fixed = post(path, &format!("Content-Length: {length}\r\n")) + &"x".repeat(length) + next;
        let chunked = post(path, chunked) + &chunks + next;
        for bytes in [fixed, chunked] {
            let expected = match length {
                BODY_BYTES => vec![status, "200"],
                _ => vec![status],
            };
            assert_eq!(statuses(bytes.as_bytes()), expected, "{path} {length}");
        }
    }
    // Who waits to be told to go on is told so, or why not.
    let expects = "Content-Length: 2\r\nExpect: 100-continue\r\n";
    assert_eq!(statuses((post("/", expects) + "hi" + next).as_bytes()), ["100", "200", "200"]);
    assert_eq!(statuses((post("/refused", expects) + "hi" + next).as_bytes()), ["404"]);
    let long = "Content-Length: 65537\r\nExpect: 100-continue\r\n";
    assert_eq!(statuses(post("/", long).as_bytes()), ["413"]);
}

#[test]
fn an_answer_that_comes_later_holds_up_those_behind_it() {
    let mut exchange = Exchange::new();
    let mut later = |request: &Request, _: Received| match &*request.path {
        "/later" => Decision::Wait,
        path => Decision::Answer(Response::new(Status::Ok, "text/plain", format!("[{path}]"))),
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let three = get("/a") + &get("/later") + &get("/b");
    exchange.take_in(three.as_bytes(), &mut later);
    assert!(exchange.waits() == Waits::Answer && !exchange.takes_input());
    exchange.time_out();
    exchange.proceed(&mut later);
    assert!(!String::from_utf8_lossy(&exchange.output).contains("[/b]"));
    exchange.answer_later(&Response::new(Status::Ok, "text/plain", "[/later]"));
    exchange.proceed(&mut later);
    let text = String::from_utf8(exchange.output.clone()).unwrap();
    let places: Vec<usize> =
        ["[/a]", "[/later]", "[/b]"].iter().map(|part| text.find(part).unwrap()).collect();
    assert!(places.is_sorted() && exchange.waits() == Waits::Idle, "{text}");
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

#[test]
fn nothing_is_a_request_behind_an_upgrade_that_was_not_granted() {
    let behind = "POST /smuggled HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    for fields in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n",
        "Connection: keep-alive\r\nUpgrade: websocket\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
    ] {
        let bytes = format!("GET /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n{behind}");
        assert_eq!(statuses(bytes.as_bytes()), ["200"], "{fields}");
        let (answer, waits) = answered(bytes.as_bytes(), usize::MAX);
        assert_eq!(waits, Waits::End);
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}
