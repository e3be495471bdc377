//! The fake server on a real port.

use super::{FakeConnection, FakeServer, Faults};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Listening {
    pub server: Arc<Mutex<FakeServer>>,
    pub port: u16,
    /// All connections, so that they can be cut.
    connections: Arc<Mutex<Vec<TcpStream>>>,
    /// Whether new connections are closed at once.
    refuses: Arc<AtomicBool>,
}

impl Listening {
    /// Serves on a free port until the test ends.
    pub fn start() -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let server = Arc::new(Mutex::new(FakeServer::new(1, Faults::default())));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let refuses = Arc::new(AtomicBool::new(false));
        let (refusing, listening) = (refuses.clone(), server.clone());
        let listening = Listening { server: listening, port, connections: connections.clone(), refuses };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if refusing.load(Ordering::Relaxed) {
                    continue;
                }
                connections.lock().expect("no panic").push(stream.try_clone().expect("descriptors left"));
                let server = server.clone();
                thread::spawn(move || serve(&server, stream));
            }
        });
        listening
    }

    /// Pushes to every connection that the client has not closed.
    pub fn push(&self, push: &wire::Push) {
        let mut bytes = Vec::new();
        push.encode(&mut bytes);
        self.connections.lock().expect("no panic").retain_mut(|stream| stream.write_all(&bytes).is_ok());
    }

    /// Closes every connection from now on.
    pub fn refuse(&self) {
        self.refuses.store(true, Ordering::Relaxed);
        self.cut();
    }

    /// Serves connections again after [`Listening::refuse`].
    pub fn accept_again(&self) {
        self.refuses.store(false, Ordering::Relaxed);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for stream in self.connections.lock().expect("no panic").drain(..) {
            // The client may have closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(server: &Mutex<FakeServer>, mut stream: TcpStream) {
    let mut connection = FakeConnection::default();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        server.lock().expect("no panic").receive(&mut connection, &buffer[..length]);
        if stream.write_all(&std::mem::take(&mut connection.out)).is_err() {
            return;
        }
    }
}
