//! A private nginx that balances the chat port with the shipped configuration, `conf/nginx/chatserver.conf`; only
//! the addresses are replaced.

use super::ports::free_port;
use super::supervised::{PATIENCE, Supervised, is_running};
use super::system::{find, is_root};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SHIPPED: &str = include_str!("../../../../conf/nginx/chatserver.conf");

const MISSING: &str = "nginx or its stream module is missing: run scripts/test-needs.sh (make test does)";

/// Where distributions install modules.
const MODULES: [&str; 3] = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules"];

/// A running nginx.
pub struct Nginx {
    /// The master process, which ends before its folder is removed.
    pub process: Supervised,
    pub address: SocketAddr,
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Nginx {
    /// Starts nginx in front of these nodes.
    pub fn start(nodes: &[SocketAddr]) -> Nginx {
        let temporary = tempfile::tempdir().unwrap();
        let nginx = Nginx::start_in(temporary.path().to_owned(), nodes);
        Nginx { _temporary: Some(temporary), ..nginx }
    }

    /// The same, but clients speak TLS with nginx, and nginx without it with the nodes. Its certificate and key are these
    /// files.
    pub fn start_with_certificate(nodes: &[SocketAddr], certificate: &Path, key: &Path) -> Nginx {
        let temporary = tempfile::tempdir().unwrap();
        let nginx = Nginx::run(temporary.path().to_owned(), nodes, Some([certificate, key]));
        Nginx { _temporary: Some(temporary), ..nginx }
    }

    /// Starts nginx in front of these nodes, with all its files in this folder.
    pub fn start_in(folder: PathBuf, nodes: &[SocketAddr]) -> Nginx {
        Nginx::run(folder, nodes, None)
    }

    fn run(folder: PathBuf, nodes: &[SocketAddr], identity: Option<[&Path; 2]>) -> Nginx {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        write_configuration(&folder, address, nodes, identity);
        let process = Supervised::start(&find("nginx", MISSING), &arguments(&folder), &folder.join("log"));
        process.wait_for(address);
        Nginx { folder, _temporary: None, address, process }
    }

    /// Changes its nodes as an operator does, by the configuration and `nginx -s reload`.
    pub fn reload(&self, nodes: &[SocketAddr]) {
        write_configuration(&self.folder, self.address, nodes, None);
        let told = Command::new(find("nginx", MISSING))
            .args(arguments(&self.folder))
            .args(["-s", "reload"])
            .status();
        assert!(told.unwrap().success(), "nginx -s reload: {}", self.log());
    }

    /// Kills it with its workers, which would serve on without the master.
    pub fn kill9(&mut self) {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.process.pid)).unwrap();
        let workers = children.split_whitespace().map(|pid| pid.parse().unwrap());
        let all: Vec<u32> = [self.process.pid].into_iter().chain(workers).collect();
        assert!(all.len() > 1, "nginx has workers");
        for &pid in &all {
            kill(pid);
        }
        let until = Instant::now() + PATIENCE;
        while all.iter().any(|&pid| is_running(pid)) {
            assert!(Instant::now() < until, "nginx is not gone");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Restarts it at the same address; it must have ended.
    pub fn restart(&mut self) {
        self.process =
            Supervised::start(&find("nginx", MISSING), &arguments(&self.folder), &self.folder.join("log"));
        self.process.wait_for(self.address);
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn kill(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    // It may have ended already.
    let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL);
}

fn arguments(folder: &Path) -> Vec<String> {
    let inside = |name: &str| folder.join(name).display().to_string();
    ["-p".into(), inside(""), "-e".into(), inside("log"), "-c".into(), inside("nginx.conf")].into()
}

fn write_configuration(
    folder: &Path,
    address: SocketAddr,
    nodes: &[SocketAddr],
    identity: Option<[&Path; 2]>,
) {
    let mut modules = MODULES.iter().map(|modules| Path::new(modules).join("ngx_stream_module.so"));
    // If there is none, it may be compiled in; else nginx reports `stream` as unknown.
    let module = modules.find(|module| module.exists());
    let load = module.map_or(String::new(), |module| format!("load_module {};\n", module.display()));
    let user = if is_root() { "user root;\n" } else { "" };
    let main = format!(
        "{load}{user}daemon off;\nworker_processes 2;\npid {pid};\nerror_log {log} info;\n\
         events {{ worker_connections 4096; }}\ninclude {shipped};\n",
        pid = folder.join("pid").display(),
        log = folder.join("log").display(),
        shipped = folder.join("chatserver.conf").display(),
    );
    fs::write(folder.join("chatserver.conf"), addressed(address, nodes, identity)).unwrap();
    fs::write(folder.join("nginx.conf"), main).unwrap();
}

/// The shipped configuration with these addresses instead of the example's, and with its lines for TLS if there is a
/// certificate with its key.
fn addressed(address: SocketAddr, nodes: &[SocketAddr], identity: Option<[&Path; 2]>) -> String {
    let mut nodes = Some(nodes);
    let mut text = String::new();
    for line in SHIPPED.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            // The first example is the template for every node.
            ["server", example, ..] if example != "{" => {
                for node in nodes.take().into_iter().flatten() {
                    text += &line.replace(example, &node.to_string());
                    text.push('\n');
                }
            }
            ["listen", "6000", ..] => {
                let listen = match identity {
                    Some(_) => line.replace("6000", "6000 ssl"),
                    None => line.to_owned(),
                };
                text += &listen.replace("6000", &address.to_string());
            }
            ["#", key @ ("ssl_certificate" | "ssl_certificate_key"), _] => {
                if let Some([certificate, own_key]) = identity {
                    let file = if key == "ssl_certificate" { certificate } else { own_key };
                    text += &format!("{key} {};", file.display());
                }
            }
            ["listen", ..] => {}
            _ => text += line,
        }
        text.push('\n');
    }
    text
}
