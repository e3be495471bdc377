//! The cases of the Autobahn test suite, by `kosoku`, against an echo of this crate's reader and writer.

#![allow(clippy::unwrap_used, reason = "test support")]

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, thread};
use websocket::{
    CloseCode, Control, Event, Kind, Reader, Role, accept_key, put_close, put_control, put_message,
};

/// The longest message of the cases.
const MESSAGE_BYTES: usize = 16 << 20;
const MISSING: &str = "kosoku is missing: run scripts/test-needs.sh (make test does)";

/// The program, where `scripts/test-needs.sh` installs it.
fn kosoku() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kosoku/bin/kosoku");
    let path = env::var_os("PATH").unwrap();
    let on_path = env::split_paths(&path).map(|folder| folder.join("kosoku"));
    [installed].into_iter().chain(on_path).find(|program| program.exists()).expect(MISSING)
}

/// Echoes messages until the client closes, or breaks the protocol.
fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let field = |line: &&str| line.to_ascii_lowercase().starts_with("sec-websocket-key:");
    let key = head.lines().find(field).unwrap().split_once(':').unwrap().1.trim();
    let accept = accept_key(key);
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    let mut reader = Reader::new(Role::Server, true);
    let (mut buffer, mut scratch, mut out) = (vec![0; 65_536], Vec::new(), Vec::new());
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let mut bytes = &buffer[..length];
        let mut is_over = false;
        while !bytes.is_empty() && !is_over {
            match reader.next(&mut bytes, MESSAGE_BYTES, &mut scratch) {
                Ok(None) => break,
                Ok(Some(Event::Message(Kind::Text, payload))) if std::str::from_utf8(payload).is_err() => {
                    put_close(&mut out, Some(CloseCode::Invalid), None);
                    is_over = true;
                }
                Ok(Some(Event::Message(kind, payload))) => {
                    put_message(&mut out, kind, None, |out| out.extend_from_slice(payload));
                }
                Ok(Some(Event::Ping(payload))) => put_control(&mut out, Control::Pong, None, payload),
                Ok(Some(Event::Pong)) => {}
                Ok(Some(Event::Close(code))) => {
                    put_close(&mut out, code, None);
                    is_over = true;
                }
                Err(fault) => {
                    put_close(&mut out, Some(fault.code()), None);
                    is_over = true;
                }
            }
        }
        stream.write_all(&out)?;
        out.clear();
        if is_over {
            stream.shutdown(std::net::Shutdown::Write)?;
            return std::io::copy(&mut stream, &mut std::io::sink()).map(drop);
        }
    }
}

#[test]
fn no_case_of_autobahn_fails() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // The threads end with this process. A client that resets its connection ends one, too.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || drop(echo(stream)));
        }
    });
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("autobahn");
    let _ = fs::remove_dir_all(&report);
    // Compression is not supported.
    let output = Command::new(kosoku())
        .args(["--exclude", "12.*", "--exclude", "13.*", "--parallelism", "4", "--outdir"])
        .arg(&report)
        .arg(address.to_string())
        .output()
        .unwrap();
    let index = report.join("index.json");
    let index = fs::read_to_string(&index).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let index: Value = serde_json::from_str(&index).unwrap();
    let agents = index.as_object().unwrap().values();
    let cases: Vec<(&String, &Value)> = agents.flat_map(|cases| cases.as_object().unwrap()).collect();
    assert!(cases.len() > 200, "only {} cases were run: {output:?}", cases.len());
    for (case, outcome) in cases {
        for verdict in ["behavior", "behaviorClose"] {
            let verdict = outcome[verdict].as_str().unwrap();
            let is_good = matches!(verdict, "OK" | "NON-STRICT" | "INFORMATIONAL");
            assert!(is_good, "case {case}: {outcome}; the reports are in {}", report.display());
        }
    }
}
