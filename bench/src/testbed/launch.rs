//! Starts servers and relays, each on a free port; dropping one stops it.

use crate::args::Placement;
use crate::error::Error;
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take to listen, and to stop.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The CPUs of a pinned run.
const SERVER_CPU: &str = "0";
const GENERATOR_CPU: &str = "1";

/// A running program that listens on `address`.
#[derive(Debug)]
pub struct Launched {
    child: Child,
    pub address: SocketAddr,
}

/// Whether programs can be pinned: that needs taskset (util-linux) and two CPUs.
pub fn can_pin() -> bool {
    let runs = |cpu| {
        let mut command = Command::new("taskset");
        command.args(["-c", cpu, "true"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    runs(SERVER_CPU) && runs(GENERATOR_CPU)
}

/// A command that runs `program` on the server's CPU.
pub fn server_command(program: &Path, placement: Placement) -> Command {
    command(program.as_os_str(), placement, SERVER_CPU)
}

/// A command that runs `program` on the generator's CPU.
pub fn generator_command(program: &Path, placement: Placement) -> Command {
    command(program.as_os_str(), placement, GENERATOR_CPU)
}

fn command(program: &OsStr, placement: Placement, cpu: &str) -> Command {
    match placement {
        Placement::Free => Command::new(program),
        Placement::Pinned => {
            let mut command = Command::new("taskset");
            command.args(["-c", cpu]).arg(program);
            command
        }
    }
}

impl Launched {
    /// Starts `command` with IP and port appended to its arguments, and waits until it accepts connections there.
    pub fn start(mut command: Command) -> Result<Launched, Error> {
        let address = free_address()?;
        command.arg(address.ip().to_string()).arg(address.port().to_string()).stdout(Stdio::null());
        let child = command.spawn().map_err(|error| Error::io(format!("start {command:?}"), error))?;
        let mut launched = Launched { child, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = launched.child.try_wait() {
                return Err(Error::Usage(format!(
                    "the program that was to listen on {address} exited ({status}); see above"
                )));
            }
            if Instant::now() > deadline {
                return Err(Error::Usage(format!("nothing listens on {address} after {PATIENCE:?}")));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(launched)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port below the ephemeral range: a port within it could be taken by a connection of the run before.
fn free_address() -> Result<SocketAddr, Error> {
    let first = 20_000 + crate::accounts::random() % 8_000;
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port as u16));
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    (first..first + 1_000)
        .map(address)
        .find(is_free)
        .ok_or_else(|| Error::Usage("found no free port from 20000 on".to_owned()))
}
