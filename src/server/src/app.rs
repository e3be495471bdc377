//! The assembly: what is started in which order, and how all of it stops.
//!
//! Start: storage (lock, migrations, what a crash left behind is filed), listeners, threads. Stop: no new connections;
//! everybody is told; what is in flight finishes; sockets are flushed and closed; storage files what is resident.

use crate::args::Args;
use crate::bus::{self, Bus, Member};
use crate::config::{Config, secret};
use crate::logic_thread::{self, Exits};
use crate::{password, systemd};
use logic::Rules;
use net::{BindError, NetConfig};
use runtime::{log_writer, watchdog};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;
use storage::StorageUrl;
use wire::legacy::Style;

/// Descriptors that are not clients': database, listener, polls, standard streams.
const OWN_DESCRIPTORS: u64 = 64;
/// How long sockets may take what is still to be written to them.
const FLUSH_TIME: Duration = Duration::from_secs(3);

/// Runs the server until it is told to stop. The exit code: 0 after an orderly stop, 1 where it could not start.
pub fn run(args: &Args) -> ExitCode {
    let config = args.config_or_exit();
    log_writer::start(config.log.level);
    abort_on_panic();
    match serve(&config, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(io::stderr(), "chatserver: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// A panic is a bug. It ends the whole process, loudly, to be restarted: a server that lost one of its threads would
/// only look alive.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        process::abort();
    }));
}

fn serve(config: &Config, args: &Args) -> Result<(), String> {
    // Before any thread exists, so that none can be hit by a signal that nobody waits for.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(sentence)?;
    let inherited = systemd::listeners()
        .map_err(|error| format!("the service manager's sockets cannot be used: {error}"))?;
    watchdog::start();
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
    let advertised = some_or(&config.cluster.advertise, &address);
    let node = some_or(&config.cluster.node, &address);
    let redis = redis(config)?;
    // A node that starts again is another one to those that knew the one before.
    let member = redis.map(|redis| (redis, Arc::<str>::from(format!("{node}~{boot:016x}"))));
    let rules = Rules {
        conflict: config.session.conflict,
        grace: 1_000 * u64::from(config.session.grace),
        messages_per_second: config.limits.messages_per_second,
        legacy_object_bytes: config.legacy.object_bytes,
        cluster: member.as_ref().map(|(_, run)| Arc::clone(run)),
        node: node.clone(),
        address: advertised.clone(),
    };
    let waiting = logic_thread::spawn(rules, boot).map_err(sentence)?;
    let doors = waiting.doors().clone();
    let storage = storage::start(opened, doors.outcomes).map_err(sentence)?;
    let (jobs, passwords) =
        password::start(config.password.memory_kib, config.password.iterations, doors.passwords)
            .map_err(sentence)?;
    let net_config = NetConfig {
        threads: args.reactors(),
        connections,
        frame_bytes: config.limits.frame_bytes,
        proxies: config.chat.proxies.clone(),
        style: Style { msgids: config.legacy.msgids, object_bytes: config.legacy.object_bytes },
        pace: Duration::from_millis(config.legacy.pace_ms.into()),
        ..NetConfig::default()
    };
    let mut net = net::start(listeners, net_config, doors.inputs).map_err(sentence)?;
    let bus = member.map(|(redis, run)| {
        let member = Member { run, node, address: advertised, started: waiting.started() };
        bus::start(redis, member, doors.bus)
    });
    let bus = bus.transpose().map_err(sentence)?;
    let exits = Exits {
        reactors: net.orders(),
        writes: storage.writes(),
        reads: storage.reads(),
        passwords: jobs,
        bus: bus.as_ref().map(Bus::orders),
    };
    let logic = waiting.begin(exits);
    announce(&address, config.storage.url.data());

    systemd::ready(address);
    wait_for_stop(&mut signals, || reload(args, address));
    systemd::stopping();
    net.stop_accepting();
    logic.drain();
    net.drain(FLUSH_TIME);
    net.join();
    if let Some(bus) = bus {
        bus.stop();
    }
    if passwords.stop().is_err() {
        log::error!("the password thread panicked");
    }
    storage.stop();
    log::info!("stopped");
    Ok(())
}

fn some_or(text: &str, address: &impl Display) -> Box<str> {
    if text.is_empty() { address.to_string().into() } else { text.into() }
}

/// Where Redis is and how to log in to it, if there is one.
fn redis(config: &Config) -> Result<Option<redis::ConnectionInfo>, String> {
    let Some(url) = &config.cluster.redis else { return Ok(None) };
    if let StorageUrl::Sqlite(_) = config.storage.url {
        let sentence =
            "cluster.redis joins nodes that share a database: storage.url must be a `mysql:` one then";
        return Err(sentence.to_owned());
    }
    let info = bus::address(&url.0).map_err(|error| format!("cluster.redis {error}"))?;
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
    // Whoever closed stdout does not want to know.
    let _ = writeln!(
        io::stdout(),
        "chatserver {version} listens on {address} (chat)\n\
         data: {data}\n\
         talk:  chatclient {ip} {port}\n\
         stop:  Ctrl-C"
    );
}

/// Reads the configuration again. What can change in a server that runs is `log.level`.
fn reload(args: &Args, address: SocketAddr) {
    systemd::reloading();
    match Config::load(args) {
        Ok(config) => {
            log::set_max_level(config.log.level);
            log::info!(
                "log.level is as configured; any other key that was changed counts from the next start on"
            );
        }
        Err(error) => log::error!("the configuration stays as it was: {error}"),
    }
    systemd::ready(address);
}

/// Returns when the server is to stop. A second such signal ends the process at once.
fn wait_for_stop(signals: &mut Signals, reload: impl Fn()) {
    for signal in signals.forever() {
        match signal {
            SIGHUP => reload(),
            _ => break,
        }
    }
    log::info!("stopping; a second signal ends the server at once");
    for signal in [SIGTERM, SIGINT] {
        let armed = signal_hook::flag::register_conditional_shutdown(
            signal,
            1,
            Arc::new(std::sync::atomic::AtomicBool::new(true)),
        );
        if let Err(error) = armed {
            log::warn!("a second signal will not end the server: {error}");
        }
    }
}

/// As many connections as are wanted and descriptors allow.
fn connection_limit(wanted: usize) -> usize {
    let allowed = match net::raise_fd_limit() {
        Ok(descriptors) => descriptors.saturating_sub(OWN_DESCRIPTORS).max(descriptors / 2),
        Err(error) => {
            log::warn!("the limit of open files cannot be raised: {error}");
            return wanted;
        }
    };
    if (wanted as u64) > allowed {
        log::warn!(
            "limits.connections is {wanted}, but the limit of open files leaves room for {allowed}; raise LimitNOFILE"
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
