//! A TCP proxy before a database server, which cuts connections where it hurts: around a COMMIT.

use super::PATIENCE;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server carries it out, and its answer is lost.
    Answer,
    /// The client's connection ends first; the COMMIT arrives a little later.
    Late,
    /// It never arrives.
    Question,
    /// It never arrives, and nobody is told: the transaction stays as it is until the server breaks it.
    Silence,
}

/// A running proxy.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// What, and what stands in that transaction.
    armed: Mutex<Option<(Cut, &'static str)>>,
    done: Condvar,
}

/// How the last question of a transaction ends.
const COMMIT: &[u8] = b";COMMIT;";
/// What stands in that of every batch of messages.
pub const MESSAGES: &str = "INSERT INTO message_";
/// What stands in that of a join.
pub const JOIN: &str = "INSERT INTO member ";

impl Proxy {
    /// Starts one before the server at this port.
    pub fn before(server: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        // Ends with the test process: nothing waits for it.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                // A server that is away is what the client is to see.
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

    /// Cuts the connection of the next COMMIT of a transaction in which this stands.
    pub fn arm(&self, cut: Cut, what: &'static str) {
        *self.state.armed.lock().unwrap() = Some((cut, what));
    }

    /// The same for one of messages, and returns when that is done.
    #[track_caller]
    pub fn cut(&self, cut: Cut) {
        self.arm(cut, MESSAGES);
        self.wait_until_cut();
    }

    /// Waits until it is done.
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
        // What a question began with may have come with an earlier chunk.
        if tail.ends_with(b";") && chunk[..count].len() > 4 && chunk[3] == 0 {
            tail.clear();
        }
        tail.extend_from_slice(&chunk[..count]);
        if tail.ends_with(COMMIT) {
            let has = |what: &str| tail.windows(what.len()).any(|part| part == what.as_bytes());
            let armed = state.armed.lock().unwrap().take_if(|(_, what)| has(what));
            if let Some((cut, _)) = armed {
                *muted.lock().unwrap() = true;
                match cut {
                    Cut::Answer => {
                        let _ = server.write_all(&chunk[..count]);
                        // The first byte of the answer, which goes no further.
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
                    // Whoever passes answers on ends the connection when the server does.
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
        // Looks before it takes, so that nothing is passed on that was muted meanwhile.
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
