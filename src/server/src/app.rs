//! Startup and shutdown order of the server's threads.
//!
//! Storage is opened before the listeners, because opening takes its lock, migrates the schema and recovers from a
//! crash: a server that cannot use its data must not accept connections.

use crate::args::Args;
use crate::bus::{self, Bus, NodeIdentity};
use crate::config::{Config, secret};
use crate::logic_thread::{self, Outlets};
use crate::{password, systemd};
use logic::{Logic, Rules};
use net::{BindError, Net, NetConfig};
use runtime::worker::Worker;
use runtime::{log_writer, watchdog};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use storage::StorageUrl;
use wire::legacy::Style;

/// File descriptors needed in addition to client connections: database, listeners, epoll, standard streams.
const OWN_DESCRIPTORS: u64 = 64;
/// How long unwritten output may take to flush at the end.
const FLUSH_TIME: Duration = Duration::from_secs(3);

/// Runs the server until a signal stops it. Exit code 0 after an orderly stop, 1 if it could not start.
pub fn run(args: &Args) -> ExitCode {
    let config = args.config_or_exit();
    log_writer::abort_on_panic();
    let served = log_writer::start(config.log.level).map_err(sentence).and_then(|()| serve(&config, args));
    if let Err(sentence) = &served {
        log_writer::print(&format!("chatserver: {sentence}"));
    }
    log_writer::flush(log_writer::FLUSH_TIME);
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve(config: &Config, args: &Args) -> Result<(), String> {
    // Installed before the first thread starts, so that no signal arrives without a handler.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(sentence)?;
    let inherited = systemd::listeners()
        .map_err(|error| format!("cannot use the sockets passed by the service manager: {error}"))?;
    watchdog::start();
    let server = Server::start(config, args.reactors(), inherited)?;
    announce(&server.address, config.storage.url.data());
    systemd::ready(server.address);
    wait_for_stop(&mut signals, || reload(args, server.address));
    systemd::stopping();
    server.stop();
    log::info!("stopped");
    Ok(())
}

/// All threads, running.
struct Server {
    /// Where chat clients connect.
    address: SocketAddr,
    net: Net,
    logic: Worker,
    bus: Option<Bus>,
    passwords: Worker,
    storage: storage::Storage,
}

impl Server {
    /// Opens storage, binds `chat.listen` unless the service manager passed listeners in, and starts all threads.
    fn start(config: &Config, reactors: usize, inherited: Vec<TcpListener>) -> Result<Server, String> {
        let connections = connection_limit(config.limits.connections);
        let opened = storage::open(&config.storage.settings()?).map_err(sentence)?;
        let listeners = match inherited {
            none if none.is_empty() => vec![net::bind(config.chat.listen).map_err(bind_sentence)?],
            inherited => inherited,
        };
        let address = listeners[0].local_addr().map_err(sentence)?;

        let mut boot = [0; 8];
        getrandom::fill(&mut boot).map_err(sentence)?;
        let boot = u64::from_le_bytes(boot);
        let clock_start = Instant::now();
        let advertised = text_or(&config.cluster.advertise, &address);
        let node = text_or(&config.cluster.node, &address);
        let redis = redis(config)?;
        // Each run has a new name, so that other nodes do not mistake a restarted node for its previous run.
        let run = redis.is_some().then(|| Arc::<str>::from(format!("{node}~{boot:016x}")));
        let rules = Rules {
            conflict: config.session.conflict,
            grace: 1_000 * u64::from(config.session.grace),
            messages_per_second: config.limits.messages_per_second,
            legacy_object_bytes: config.legacy.object_bytes,
            cluster: run.clone(),
            node: node.clone(),
            address: advertised.clone(),
        };
        let (inlets, inboxes) = logic_thread::queues();
        let storage = storage::start(opened, inlets.outcomes).map_err(sentence)?;
        let (passwords, jobs) =
            password::start(config.password.memory_kib, config.password.iterations, inlets.passwords)
                .map_err(sentence)?;
        let net_config = NetConfig {
            threads: reactors,
            connections,
            frame_bytes: config.limits.frame_bytes,
            proxies: config.chat.proxies.clone(),
            style: Style { msgids: config.legacy.msgids, object_bytes: config.legacy.object_bytes },
            pace: Duration::from_millis(config.legacy.pace_ms.into()),
            ..NetConfig::default()
        };
        let net = net::start(listeners, net_config, inlets.inputs).map_err(sentence)?;
        let bus = redis.zip(run).map(|(redis, run)| {
            let identity = NodeIdentity { run, node, address: advertised, clock_start };
            bus::start(redis, identity, inlets.bus)
        });
        let bus = bus.transpose().map_err(sentence)?;
        let outlets = Outlets {
            reactors: net.orders(),
            writes: storage.writes(),
            reads: storage.reads(),
            passwords: jobs,
            bus: bus.as_ref().map(Bus::orders),
        };
        let logic = logic_thread::start(Logic::new(rules, boot), clock_start, inboxes, outlets);
        let logic = logic.map_err(sentence)?;
        Ok(Server { address, net, logic, bus, passwords, storage })
    }

    /// Refuses new connections, notifies sessions, finishes requests in flight, flushes and closes sockets, and files
    /// what storage holds in memory.
    fn stop(mut self) {
        self.net.stop_accepting();
        self.logic.stop();
        self.net.drain(FLUSH_TIME);
        self.net.join();
        if let Some(bus) = self.bus {
            bus.stop();
        }
        self.passwords.stop();
        self.storage.stop();
    }
}

/// The text, or the address if the text is empty.
fn text_or(text: &str, address: &impl Display) -> Box<str> {
    if text.is_empty() { address.to_string().into() } else { text.into() }
}

/// The address and credentials of Redis; `None` on a single node.
fn redis(config: &Config) -> Result<Option<redis::ConnectionInfo>, String> {
    let Some(url) = &config.cluster.redis else { return Ok(None) };
    if let StorageUrl::Sqlite(_) = config.storage.url {
        let sentence =
            "cluster.redis needs a database that nodes can share: set storage.url to a `mysql:` URL";
        return Err(sentence.to_owned());
    }
    let info = bus::parse_url(&url.0).map_err(|error| format!("cluster.redis {error}"))?;
    let Some(path) = &config.cluster.password_file else { return Ok(Some(info)) };
    let password = secret(path).map_err(sentence)?;
    let settings = info.redis_settings().clone().set_password(password);
    Ok(Some(info.set_redis_settings(settings)))
}

fn announce(address: &impl Display, data: impl Display) {
    let version = env!("CARGO_PKG_VERSION");
    let (ip, port) = {
        let text = address.to_string();
        text.rsplit_once(':').map_or((text.clone(), String::new()), |(ip, port)| (ip.into(), port.into()))
    };
    // A closed stdout is not an error.
    let _ = writeln!(
        io::stdout(),
        "chatserver {version} listens on {address} (chat)\n\
         data: {data}\n\
         talk:  chatclient {ip} {port}\n\
         stop:  Ctrl-C"
    );
}

/// Reads the configuration again and applies `log.level`, the only key that a running server can change.
fn reload(args: &Args, address: SocketAddr) {
    systemd::reloading();
    match args.load_config() {
        Ok(config) => {
            log::set_max_level(config.log.level);
            log::info!("reloaded log.level; changes to other keys take effect at the next start");
        }
        Err(error) => log::error!("kept the old configuration: {error}"),
    }
    systemd::ready(address);
}

/// Returns when a signal asks the server to stop. From then on, another such signal ends the process at once.
fn wait_for_stop(signals: &mut Signals, reload: impl Fn()) {
    for signal in signals.forever() {
        match signal {
            SIGHUP => reload(),
            _ => break,
        }
    }
    log::info!("stopping; a second signal ends the server at once");
    for signal in [SIGTERM, SIGINT] {
        let is_armed = Arc::new(AtomicBool::new(true));
        if let Err(error) = signal_hook::flag::register_conditional_shutdown(signal, 1, is_armed) {
            log::warn!("a second signal will not end the server: {error}");
        }
    }
}

/// The configured number of connections, or fewer if the limit of open files requires it.
fn connection_limit(wanted: usize) -> usize {
    let allowed = match net::raise_fd_limit() {
        Ok(descriptors) => descriptors.saturating_sub(OWN_DESCRIPTORS).max(descriptors / 2),
        Err(error) => {
            log::warn!("cannot raise the limit of open files: {error}");
            return wanted;
        }
    };
    if (wanted as u64) > allowed {
        log::warn!(
            "limits.connections is {wanted}, but the limit of open files allows only {allowed}; raise LimitNOFILE"
        );
        return allowed as usize;
    }
    wanted
}

fn bind_sentence(error: BindError) -> String {
    match &error {
        BindError::InUseButNext { free, .. } => {
            format!("{error}: try `chatserver {} {}`", free.ip(), free.port())
        }
        _ => error.to_string(),
    }
}

fn sentence(error: impl Display) -> String {
    error.to_string()
}
