//! A private nginx in front of `http.listen` with the shipped configuration, `conf/nginx/web.conf`; only the addresses and
//! files are replaced.

use super::certificates::Identity;
use super::ports::free_port;
use super::supervised::Supervised;
use super::system::{find, is_root};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use tempfile::TempDir;

const SHIPPED: &str = include_str!("../../../../../conf/nginx/web.conf");
const MISSING: &str = "nginx is missing: run scripts/test-needs.sh (make test does)";

/// A running nginx that speaks HTTPS.
pub struct WebNginx {
    /// Ends before its folder is removed.
    process: Supervised,
    pub address: SocketAddr,
    _folder: TempDir,
}

impl WebNginx {
    /// Starts nginx in front of this node.
    pub fn start(node: SocketAddr, identity: &Identity) -> WebNginx {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let inside = |name: &str| folder.path().join(name).display().to_string();
        let user = if is_root() { "user root;\n" } else { "" };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", inside(kind)))
            .concat();
        let site = addressed(address, node, identity);
        let main = format!(
            "{user}daemon off;\nworker_processes 1;\npid {};\nevents {{ worker_connections 4096; }}\n\
             http {{\naccess_log off;\n{temporary}{site}}}\n",
            inside("pid")
        );
        fs::write(folder.path().join("nginx.conf"), main).unwrap();
        let arguments = ["-p", &inside(""), "-e", &inside("log"), "-c", &inside("nginx.conf")];
        let process = Supervised::start(
            &find("nginx", MISSING),
            &arguments.map(str::to_owned),
            &folder.path().join("log"),
        );
        process.wait_for(address);
        WebNginx { process, address, _folder: folder }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// The shipped configuration with these addresses and files instead of the example's.
fn addressed(address: SocketAddr, node: SocketAddr, identity: &Identity) -> String {
    let mut has_node = false;
    let mut text = String::new();
    for line in SHIPPED.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["server", example, ..] if example != "{" => {
                if !has_node {
                    text += &line.replace(example, &node.to_string());
                }
                has_node = true;
            }
            ["listen", "443", ..] => text += &line.replace("443", &address.to_string()),
            ["listen", ..] => {}
            ["ssl_certificate", _] => text += &format!("ssl_certificate {};", identity.certificate.display()),
            ["ssl_certificate_key", _] => {
                text += &format!("ssl_certificate_key {};", identity.key.display());
            }
            _ => text += line,
        }
        text.push('\n');
    }
    assert!(has_node, "the shipped configuration names a node");
    text
}
