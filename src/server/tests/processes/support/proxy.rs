//! A TCP proxy in front of a database server that cuts connections around a COMMIT.

use super::PATIENCE;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server executes it, and its answer is lost.
    Answer,
    /// The client's connection ends first; the COMMIT arrives a little later.
    Late,
    /// It never arrives.
    Question,
    /// It never arrives, and no connection ends: the transaction stays open until the server breaks it.
    Silence,
}

/// A running proxy.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// What to do, and a text of the transaction to do it to.
    armed: Mutex<Option<(Cut, &'static str)>>,
    done: Condvar,
}

/// The end of the last query of a transaction: the COMMIT follows other statements, or is a query of its own.
const COMMITS: [&[u8]; 2] = [b";COMMIT;", b"\x03COMMIT;"];
const BEGIN: &[u8] = b"START TRANSACTION";
/// A text of every transaction that appends messages.
pub const MESSAGES: &str = "INSERT INTO message_";
/// A text of every transaction that creates a group.
pub const CREATE: &str = "INSERT INTO conversation (kind, name";
/// A text of every transaction that joins a group.
pub const JOIN: &str = "INSERT INTO member ";
/// A text of every transaction that changes a password.
pub const PASSWORD: &str = "UPDATE user SET password";
/// A text of every transaction that begins a session.
pub const CLAIM: &str = "INSERT INTO account_session";

impl Proxy {
    /// Starts a proxy in front of the server at this port.
    pub fn before(server: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        // This thread ends with the test process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                // If the server is away, the client's connection is closed.
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
                    let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                    let muted = Arc::new(Mutex::new(false));
                    let mute = Arc::clone(&muted);
                    thread::spawn(move || answers(from, to, &mute));
                    thread::spawn(move || questions(client, server, &state, &muted));
                }
            }
        });
        Proxy { port, state }
    }

    /// Arms a cut at the next COMMIT of a transaction that contains this text.
    pub fn arm(&self, cut: Cut, what: &'static str) {
        *self.state.armed.lock().unwrap() = Some((cut, what));
    }

    /// Cuts at the next COMMIT of messages, and waits until that is done.
    #[track_caller]
    pub fn cut(&self, cut: Cut) {
        self.arm(cut, MESSAGES);
        self.wait_until_cut();
    }

    /// Waits until the armed cut is done.
    #[track_caller]
    pub fn wait_until_cut(&self) {
        let armed = self.state.armed.lock().unwrap();
        let (armed, _) =
            self.state.done.wait_timeout_while(armed, PATIENCE, |armed| armed.is_some()).unwrap();
        assert!(armed.is_none(), "nothing of the kind was committed in {PATIENCE:?}");
    }
}

fn questions(mut client: TcpStream, mut server: TcpStream, state: &State, muted: &Mutex<bool>) {
    let (mut chunk, mut tail) = (vec![0; 1 << 16], Vec::new());
    while let Ok(count) = client.read(&mut chunk)
        && count > 0
    {
        let contains = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
        // A packet with sequence number 0 begins a new query. What came before is of another transaction.
        let is_query = tail.ends_with(b";") && count > 4 && chunk[3] == 0;
        if is_query && contains(&chunk[..count], BEGIN) {
            tail.clear();
        }
        tail.extend_from_slice(&chunk[..count]);
        if COMMITS.iter().any(|commit| tail.ends_with(commit)) {
            let has = |what: &str| contains(&tail, what.as_bytes());
            let armed = state.armed.lock().unwrap().take_if(|(_, what)| has(what));
            if let Some((cut, _)) = armed {
                *muted.lock().unwrap() = true;
                match cut {
                    Cut::Answer => {
                        let _ = server.write_all(&chunk[..count]);
                        // Waits for the first byte of the answer, which is not passed on.
                        let _ = server.peek(&mut [0]);
                    }
                    Cut::Late => {
                        let _ = client.shutdown(Shutdown::Both);
                        thread::sleep(Duration::from_millis(50));
                        let _ = server.write_all(&chunk[..count]);
                        let _ = server.peek(&mut [0]);
                    }
                    Cut::Question | Cut::Silence => {}
                }
                state.done.notify_all();
                if cut == Cut::Silence {
                    // The other thread closes the connection when the server does.
                    return;
                }
                break;
            }
        }
        if server.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

fn answers(mut server: TcpStream, mut client: TcpStream, muted: &Mutex<bool>) {
    let mut chunk = vec![0; 1 << 16];
    loop {
        // Peeks first, so that nothing is passed on that was muted meanwhile.
        match server.peek(&mut chunk) {
            Ok(count) if count > 0 => {}
            _ => break,
        }
        if *muted.lock().unwrap() {
            return;
        }
        let Ok(count) = server.read(&mut chunk) else { break };
        if client.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}
