//! What TLS costs a server: the CPU time of a handshake, the memory of an idle connection, and the delay of other users'
//! messages while many handshakes come at once.
//!
//!     cargo build --release --package chatserver --package chatbench
//!     cargo run --release --package chatbench --example tls_figures
//!
//! The server is the one beside this program, on a free port, with a certificate that is made for the run (ECDSA, P-256).

#![allow(clippy::unwrap_used, reason = "a failure ends the measurement")]

use anyhow::{Context, Result, ensure};
use chatbench::measure::process::{Sample, resident};
use chatbench::testbed::launch::Launched;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs::{self, Permissions};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tls::{Client, Layer, Trust};

/// Handshakes of each measurement.
const HANDSHAKES: u32 = 2_000;
/// Connections at the same time in the storm.
const STORM_THREADS: u32 = 20;
/// Connections that are open at the same time and do nothing.
const IDLE: usize = 4_000;
const HOST: &str = "127.0.0.1";

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = Files::make(folder.path())?;
    let server = start(folder.path(), &files)?;
    let pids = [server.pid()];

    let before = Sample::take(&pids)?;
    for _ in 0..HANDSHAKES {
        drop(connect(server.address, None)?);
    }
    println!("a connection without TLS: {:.0} us of server CPU", each(&pids, &before)?);

    let full = handshakes(&server, &pids, &files, false)?;
    println!("a full handshake:         {full:.0} us of server CPU, its connection included");
    let resumed = handshakes(&server, &pids, &files, true)?;
    println!("a resumed handshake:      {resumed:.0} us of server CPU, its connection included");

    let plain = idle(&server, &pids, None)?;
    let secure = idle(&server, &pids, Some(&files.trust()?))?;
    println!("an idle connection:       {plain:.2} KiB without TLS, {secure:.2} KiB with TLS");
    drop(server);

    for storms in [false, true] {
        let server = start(folder.path(), &files)?;
        let mut users = users(&server)?;
        // The load is at its full size after its warm-up.
        thread::sleep(Duration::from_secs(4));
        let begun = Instant::now();
        if storms {
            storm(server.address, &files)?;
        }
        let took = begun.elapsed();
        let mut said = String::new();
        users.stdout.take().context("a pipe")?.read_to_string(&mut said)?;
        ensure!(users.wait()?.success(), "{said}");
        let title = if storms {
            format!("beside {HANDSHAKES} handshakes in {:.2} s", took.as_secs_f64())
        } else {
            "without handshakes".to_owned()
        };
        println!("\nusers {title}:\n{said}");
    }
    Ok(())
}

/// Microseconds of CPU for each handshake since `before`.
fn each(pids: &[u32], before: &Sample) -> Result<f64> {
    let used = Sample::take(pids)?.since(before).cpu_ns;
    Ok(used as f64 / 1_000.0 / f64::from(HANDSHAKES))
}

struct Files {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn make(folder: &Path) -> Result<Files> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let own = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate()?;
        let issued = CertificateParams::new(vec![HOST.to_owned()])?.signed_by(&key, &issuer)?.pem();
        let write = |name: &str, text: String| -> Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(path)
        };
        Ok(Files {
            authority: write("authority.pem", own)?,
            certificate: write("certificate.pem", issued)?,
            key: write("key.pem", key.serialize_pem())?,
        })
    }

    /// A client without tickets of earlier sessions.
    fn trust(&self) -> Result<Trust> {
        Trust::of_file("--ca", &self.authority).map_err(anyhow::Error::msg)
    }
}

fn beside(program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder =
        own.parent().and_then(Path::parent).context("an example lies in a folder of the programs")?;
    Ok(folder.join(program))
}

fn start(folder: &Path, files: &Files) -> Result<Launched> {
    let mut command = Command::new(beside("chatserver")?);
    let data = tempfile::tempdir_in(folder)?.keep().join("chat.db");
    for (key, value) in [
        ("tls.certificate", files.certificate.display().to_string()),
        ("tls.key", files.key.display().to_string()),
        ("storage.url", format!("sqlite:{}", data.display())),
        ("log.level", "error".to_owned()),
        ("password.memory_kib", "8".to_owned()),
        ("password.iterations", "1".to_owned()),
        ("http.listen", String::new()),
        ("ops.listen", String::new()),
        ("registration.per_address_hour", "0".to_owned()),
        ("limits.messages_per_second", "0".to_owned()),
        ("limits.requests_per_second", "0".to_owned()),
    ] {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    Ok(Launched::start(command)?)
}

fn connect(address: SocketAddr, trust: Option<&Trust>) -> Result<(TcpStream, Option<Layer<Client>>)> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let Some(trust) = trust else { return Ok((socket, None)) };
    let mut layer = Layer::connect(trust, HOST)?;
    ensure!(layer.continue_handshake(&mut socket)?, "the handshake took a minute");
    Ok((socket, Some(layer)))
}

/// Microseconds of the server's CPU for a handshake, of many one after the other.
fn handshakes(server: &Launched, pids: &[u32], files: &Files, resumes: bool) -> Result<f64> {
    // Reading the file anew gives a client without tickets.
    let shared = files.trust()?;
    if resumes {
        take_ticket(server.address, &shared)?;
    }
    let before = Sample::take(pids)?;
    for _ in 0..HANDSHAKES {
        let own = if resumes { shared.clone() } else { files.trust()? };
        let resumed = if resumes { take_ticket(server.address, &own)? } else { one(server.address, &own)? };
        ensure!(resumed == resumes, "a handshake was of the other kind");
    }
    each(pids, &before)
}

fn one(address: SocketAddr, trust: &Trust) -> Result<bool> {
    let (mut socket, layer) = connect(address, Some(trust))?;
    let mut layer = layer.context("it has TLS")?;
    layer.close(&mut socket)?;
    Ok(layer.is_resumed())
}

/// Waits for the ticket, which comes after the handshake: the end that the server announces follows it.
fn take_ticket(address: SocketAddr, trust: &Trust) -> Result<bool> {
    let (mut socket, layer) = connect(address, Some(trust))?;
    let mut layer = layer.context("it has TLS")?;
    layer.close(&mut socket)?;
    while layer.read(&mut socket, &mut [0; 1024])? > 0 {}
    Ok(layer.is_resumed())
}

/// KiB of the server for each idle connection.
fn idle(server: &Launched, pids: &[u32], trust: Option<&Trust>) -> Result<f64> {
    let before = resident(pids);
    let open: Vec<_> = (0..IDLE).map(|_| connect(server.address, trust)).collect::<Result<_>>()?;
    // The server has taken the last one's part of the handshake.
    thread::sleep(Duration::from_secs(2));
    let grown = resident(pids).saturating_sub(before);
    drop(open);
    thread::sleep(Duration::from_secs(2));
    Ok(grown as f64 / IDLE as f64)
}

/// Users who send at a rate far below what the server can do.
fn users(server: &Launched) -> Result<Child> {
    let child = Command::new(beside("chatbench")?)
        .args(["pairs", "--address", &server.address.to_string()])
        .args(["--pairs", "10", "--rate", "1000", "--size", "64", "--warmup", "2", "--seconds", "6"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child)
}

fn storm(address: SocketAddr, files: &Files) -> Result<()> {
    let storms: Vec<_> = (0..STORM_THREADS)
        .map(|_| {
            let trusts: Result<Vec<Trust>> = (0..HANDSHAKES / STORM_THREADS).map(|_| files.trust()).collect();
            Ok(thread::spawn(move || -> Result<()> {
                for trust in trusts? {
                    one(address, &trust)?;
                }
                Ok(())
            }))
        })
        .collect::<Result<_>>()?;
    for storm in storms {
        storm.join().unwrap()?;
    }
    Ok(())
}
