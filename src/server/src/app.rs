//! Startup and shutdown order of the server's threads.
//!
//! Storage is opened before the listeners, because opening takes its lock, migrates the schema and recovers from a
//! crash: a server that cannot use its data must not accept connections.

use crate::args::Args;
use crate::bus::{self, Bus, NodeIdentity};
use crate::config::Config;
use crate::logic_thread::{self, OrderOutlets, Outlets};
use crate::ops::{Lifecycle, Observed, Queue};
use crate::{password, search_index, systemd};
use http::{Http, LogicLink, Service, Upgraded, WebSockets};
use logic::{Logic, Policy, Rules};
use net::{Adopter, BindError, Net, NetConfig, TlsConfig};
use runtime::worker::Worker;
use runtime::{log_writer, watchdog};
use search::{Load, Search};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use storage::{Joining, KEY_OVERLAP_MS};
use tls::{Acceptor, Identity, TlsRequired};
use wire::legacy::Style;

/// File descriptors needed in addition to client connections: database, listeners, epoll, standard streams.
const OWN_DESCRIPTORS: u64 = 64;
/// What `ops.listen` may have open.
const OPS_LIMITS: http::Limits = http::Limits { connections: 64, per_address: 32 };
/// What `http.listen` may have open where descriptors are plenty.
const WEB_CONNECTIONS: usize = 4_096;
/// Of so many descriptors, one may be for a browser.
const WEB_SHARE: u64 = 16;
/// How long unwritten output may take to flush at the end.
const FLUSH_TIME: Duration = Duration::from_secs(3);

/// Runs the server until a signal stops it. Exit code 0 after an orderly stop, 1 if it could not start.
pub fn run(args: &Args) -> ExitCode {
    let config = args.config_or_exit();
    log_writer::abort_on_panic();
    let started = log_writer::start(config.log.level).map_err(sentence);
    let done = started.and_then(|()| match args.rotate_bus_key {
        true => rotate_bus_key(&config),
        false => serve(&config, args),
    });
    if let Err(sentence) = &done {
        log_writer::print(&format!("chatserver: {sentence}"));
    }
    log_writer::flush(log_writer::FLUSH_TIME);
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Replaces the key of the bus.
fn rotate_bus_key(config: &Config) -> Result<(), String> {
    let opened = storage::open(&config.storage.settings()?).map_err(sentence)?;
    let id = opened.rotate_bus_key().map_err(sentence)?;
    // A closed stdout is not an error.
    let _ = writeln!(
        io::stdout(),
        "made the key {id}: all running nodes use it in {0} s and refuse the one before {0} s later",
        KEY_OVERLAP_MS / 1_000
    );
    Ok(())
}

fn serve(config: &Config, args: &Args) -> Result<(), String> {
    // Installed before the first thread starts, so that no signal arrives without a handler.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(sentence)?;
    let starting = exit_on_signals(0);
    let inherited = systemd::listeners()
        .map_err(|error| format!("cannot use the sockets passed by the service manager: {error}"))?;
    watchdog::start();
    if let Some(warning) = args.warning(config) {
        log::warn!("{warning}");
    }
    let server = Server::start(config, args.reactors(), inherited)?;
    starting.store(false, Ordering::SeqCst);
    announce(&server, config.storage.url.data());
    systemd::ready(server.address);
    wait_for_stop(&mut signals, || reload(args, config, &server));
    systemd::stopping();
    server.stop();
    log::info!("stopped");
    Ok(())
}

/// All threads, running.
struct Server {
    /// Where chat clients connect.
    address: SocketAddr,
    /// `None` without a certificate.
    acceptor: Option<Acceptor>,
    net: Net,
    logic: Worker,
    bus: Option<Bus>,
    passwords: Worker,
    search: Option<Search>,
    storage: storage::Storage,
    /// The listeners for browsers and operators that are open.
    http: Vec<Http>,
    /// Where browsers and operators connect.
    pages: Pages,
    lifecycle: Arc<Lifecycle>,
}

/// Where there are pages.
struct Pages {
    web: Option<SocketAddr>,
    ops: Option<SocketAddr>,
}

impl Server {
    /// Opens storage, binds `chat.listen` unless the service manager passed listeners in, and starts all threads.
    fn start(config: &Config, reactors: usize, inherited: Vec<TcpListener>) -> Result<Server, String> {
        let connections = connection_limits(config);
        if inherited.is_empty() {
            config.cluster.advertised(config.chat.listen)?;
        }
        if let Some(fault) = config.tls.fault() {
            log::warn!("{fault}");
        }
        let identity = config.tls.identity()?;
        let expiring = identity.as_ref().map(|identity| identity.not_after);
        let acceptor = identity.map(|identity| acceptor(config, identity)).transpose()?;
        let redis = config.redis()?;
        if let Some(redis) = &redis {
            bus::check(redis)?;
        }
        let settings = storage::Settings { quotas: config.limits.quotas(), ..config.storage.settings()? };
        let mut opened = storage::open(&settings).map_err(sentence)?;
        let listeners = match inherited {
            none if none.is_empty() => vec![net::bind(config.chat.listen).map_err(bind_sentence)?],
            inherited => inherited,
        };
        let address = listeners[0].local_addr().map_err(sentence)?;
        let web = listen_beside("http.listen", config.http.listen, Config::default().http.listen)?;
        let ops = listen_beside("ops.listen", config.ops.listen, Config::default().ops.listen)?;
        let local =
            |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
        let pages = Pages { web: local(&web).map_err(sentence)?, ops: local(&ops).map_err(sentence)? };

        let mut boot = [0; 8];
        getrandom::fill(&mut boot).map_err(sentence)?;
        let boot = u64::from_le_bytes(boot);
        let clock_start = Instant::now();
        let own = reachable(address);
        let advertised: Box<str> =
            config.cluster.advertised(address)?.unwrap_or_else(|| own.to_string()).into();
        let node = text_or(&config.cluster.node, &own);
        // Each run has a new name, so that other nodes do not mistake a restarted node for its previous run.
        let run = Arc::<str>::from(format!("{node}~{boot:016x}"));
        let deployment =
            opened.join(Joining { node: node.clone(), run: Arc::clone(&run) }).map_err(sentence)?;
        let run = redis.is_some().then_some(run);
        let server: Box<str> = deployment.server.to_string().into();
        let node_name = node.clone();
        let rules = Rules {
            sessions: Policy { conflict: config.session.conflict, sessions_max: config.limits.sessions },
            grace: 1_000 * u64::from(config.session.grace),
            messages_per_second: config.limits.messages_per_second,
            requests_per_second: config.limits.requests_per_second,
            reads_waiting: config.limits.reads_waiting,
            edit_window: 60_000 * u64::from(config.chat.edit_minutes),
            recall_window: 60_000 * u64::from(config.chat.recall_minutes),
            search: config.search.enabled,
            registrations_per_hour: config.registration.per_address_hour,
            legacy_object_bytes: config.legacy.object_bytes,
            cluster: run.clone(),
            node: node.clone(),
            address: advertised.clone(),
            server: server.clone(),
            history: deployment.history.to_string().into(),
            http: config.http.url.as_ref().map(|url| url.to_string().into()),
        };
        let lifecycle = Arc::<Lifecycle>::default();
        if let Some(identity) = &expiring {
            lifecycle.use_certificate(*identity);
        }
        let (inlets, inboxes) = logic_thread::queues();
        let (inputs, outcomes) = (inlets.inputs.clone(), inlets.outcomes.clone());
        let search = search_index::prepare(config, &opened, &deployment, clock_start, address.port())
            .map_err(sentence)?;
        let storage = storage::start(opened, inlets.outcomes.clone(), clock_start).map_err(sentence)?;
        let load = Load::default();
        let search = search.map(|search| search.start(inlets.outcomes, load.clone())).transpose();
        let search = search.map_err(sentence)?;
        let (passwords, jobs) =
            password::start(config.password.memory_kib, config.password.iterations, inlets.passwords)
                .map_err(sentence)?;
        let net_config = NetConfig {
            threads: reactors,
            connections: connections.chat,
            frame_bytes: config.limits.frame_bytes,
            output_total_bytes: config.limits.output_mib << 20,
            proxies: config.chat.proxies.clone(),
            tls: acceptor.clone().map(|acceptor| TlsConfig {
                acceptor,
                required: config.tls.required,
                legacy_plain: config.legacy.plain,
            }),
            style: Style { msgids: config.legacy.msgids, object_bytes: config.legacy.object_bytes },
            pace: Duration::from_millis(config.legacy.pace_ms.into()),
            ..NetConfig::default()
        };
        let net = net::start(listeners, net_config, inlets.inputs).map_err(sentence)?;
        let bus = redis.zip(run).zip(deployment.peers).map(|((redis, run), peers)| {
            let identity = NodeIdentity { run, node, server, address: advertised, clock_start };
            bus::start(redis, identity, &peers, inlets.bus)
        });
        let bus = bus.transpose().map_err(sentence)?;
        let mut http = Vec::new();
        if let Some(listener) = web {
            let limits =
                http::Limits { connections: connections.web, per_address: (connections.web / 4).max(16) };
            let required = config.tls.required;
            let to_logic = inputs.clone();
            let service =
                Service::Site(LogicLink { number: reactors, to_logic }, Box::new(Reactors(net.adopter())));
            let settings = http::Settings {
                limits,
                encryption: acceptor.clone().map(|acceptor| http::Encryption { acceptor, required }),
                proxies: config.http.proxies.clone(),
                url: config.http.url.clone(),
                origins: config.http.origins.clone(),
            };
            http.push(http::start("http", listener, settings, service).map_err(sentence)?);
        }
        let outlets = Outlets {
            orders: OrderOutlets { reactors: net.orders(), http: http.first().and_then(Http::orders) },
            output_budget: net.output_budget(),
            writes: storage.writes(),
            reads: storage.reads(),
            searches: search.as_ref().map(Search::outbox),
            load,
            passwords: jobs,
            bus: bus.as_ref().map(Bus::orders),
            readout: Arc::default(),
        };
        let mut queues = vec![
            Queue { name: "logic-inputs", waiting: Box::new(move || inputs.waiting()) },
            Queue { name: "logic-outcomes", waiting: Box::new(move || outcomes.waiting()) },
        ];
        let writes = storage.writes();
        queues.push(Queue { name: "storage-writes", waiting: Box::new(move || writes.waiting()) });
        let observed = Observed {
            node: node_name,
            started: clock_start,
            lifecycle: Arc::clone(&lifecycle),
            readout: Arc::clone(&outlets.readout),
            is_cluster: outlets.bus.is_some(),
            reactors: net.counters(),
            storage: storage.counters(),
            queues,
            search: search.as_ref().map(Search::progress),
        };
        let logic = logic_thread::start(Logic::new(rules, boot), clock_start, inboxes, outlets);
        let logic = logic.map_err(sentence)?;
        if let Some(listener) = ops {
            let service = Service::Operations(Box::new(observed));
            http.push(
                http::start("ops", listener, http::Settings::plain(OPS_LIMITS), service).map_err(sentence)?,
            );
        }
        Ok(Server { address, acceptor, net, logic, bus, passwords, search, storage, http, pages, lifecycle })
    }

    /// Refuses new connections, notifies sessions, finishes requests in flight, flushes and closes sockets, and files
    /// what storage holds in memory.
    fn stop(mut self) {
        self.lifecycle.is_draining.set(true);
        self.net.stop_accepting();
        self.logic.stop();
        self.net.drain(FLUSH_TIME);
        self.net.join();
        if let Some(bus) = self.bus {
            bus.stop();
        }
        self.passwords.stop();
        // Before storage: the last connection to close removes the write-ahead log.
        if let Some(search) = self.search {
            search.stop();
        }
        self.storage.stop();
        // Last: until then it says that the server is stopping.
        self.http.into_iter().for_each(Http::stop);
    }
}

/// Serves the WebSockets of the HTTP listener.
struct Reactors(Adopter);

impl WebSockets for Reactors {
    fn has_room(&self) -> bool {
        self.0.has_room()
    }

    fn adopt(&self, Upgraded { stream, tls, client, session, received, output }: Upgraded) {
        self.0.adopt(net::WebSocket { stream, tls, peer: client, session, received, output });
    }
}

/// Says what the operator should know about a certificate that is used from now on.
fn acceptor(config: &Config, identity: Identity) -> Result<Acceptor, String> {
    match config.tls.time_fault(&identity) {
        Some(fault) => log::error!("clients will refuse TLS: {fault}"),
        None => log::info!("TLS: the certificate is valid until {}", described(&identity)),
    }
    if config.legacy.plain && config.tls.required != TlsRequired::Never {
        log::warn!(
            "clients of the muduo chat servers connect without TLS from anywhere, because legacy.plain is true; if there \
             are none, set it to false"
        );
    }
    Acceptor::new(identity).map_err(sentence)
}

fn described(identity: &Identity) -> String {
    format!("{} (certificates in the chain: {})", identity.expiry(), identity.chain_length())
}

/// The text, or the address if the text is empty.
fn text_or(text: &str, address: &impl Display) -> Box<str> {
    if text.is_empty() { address.to_string().into() } else { text.into() }
}

/// The address at which this machine can be reached, for a server that listens on all of its addresses: the source
/// address of packets to other networks. Choosing it sends nothing.
fn reachable(address: SocketAddr) -> SocketAddr {
    // Addresses that belong to nobody (RFC 5737 and RFC 3849).
    let (any, elsewhere): (IpAddr, IpAddr) = match address.ip() {
        ip if !ip.is_unspecified() => return address,
        IpAddr::V4(any) => (any.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        IpAddr::V6(any) => (any.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    };
    let own = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((elsewhere, 9))?;
        socket.local_addr()
    });
    let loopback = if any.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(own.map_or(loopback, |own| own.ip()), address.port())
}

/// Listens where browsers or operators connect. Where another program has the default address, there is no listener, so
/// that several servers start on one machine without a configuration.
fn listen_beside(
    key: &str,
    address: Option<SocketAddr>,
    default: Option<SocketAddr>,
) -> Result<Option<TcpListener>, String> {
    let Some(wanted) = address else { return Ok(None) };
    match net::bind(wanted) {
        Ok(listener) => Ok(Some(listener)),
        Err(error @ (BindError::InUse { .. } | BindError::InUseButNext { .. })) if address == default => {
            log::warn!("{key}: {error}; this server runs without it");
            Ok(None)
        }
        Err(error) => Err(format!("{key}: {error}")),
    }
}

fn announce(server: &Server, data: impl Display) {
    let address = server.address;
    let version = env!("CARGO_PKG_VERSION");
    let client_address = reachable(address);
    let (ip, port) = (client_address.ip(), address.port());
    let web = server.pages.web.map_or(String::new(), |address| format!("web:   http://{address}/\n"));
    let ops = server.pages.ops.map_or(String::new(), |address| format!("state: http://{address}/status\n"));
    // A closed stdout is not an error.
    let _ = writeln!(
        io::stdout(),
        "chatserver {version} listens on {address} (chat)\n\
         data: {data}\n\
         {web}{ops}\
         talk:  chatclient {ip} {port}\n\
         stop:  Ctrl-C"
    );
}

/// Reads the configuration again and applies `log.level`, the only key that a running server can change, and reads the
/// files of the certificate that it has used so far anew.
fn reload(args: &Args, started_with: &Config, server: &Server) {
    systemd::reloading();
    match args.load_config() {
        Ok(config) => {
            log::set_max_level(config.log.level);
            log::info!("reloaded log.level; changes to other keys take effect at the next start");
            if config.tls != started_with.tls {
                log::warn!("the section [tls] has changed, which takes effect at the next start");
            }
        }
        Err(error) => log::error!("kept the old configuration: {error}"),
    }
    if let Some(acceptor) = &server.acceptor {
        match started_with.tls.valid_identity() {
            Ok(Some(identity)) => {
                log::info!("TLS: reloaded the certificate, which is valid until {}", described(&identity));
                server.lifecycle.use_certificate(identity.not_after);
                acceptor.replace(identity);
            }
            Ok(None) => {}
            Err(fault) => log::error!("TLS: kept the old certificate: {fault}"),
        }
    }
    systemd::ready(server.address);
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
    exit_on_signals(1);
}

/// Makes signals that stop the server end the process at once with this exit code, until the returned flag is cleared.
/// During a start, whatever that waits for, nothing has been promised to a client that a later start does not find.
fn exit_on_signals(code: i32) -> Arc<AtomicBool> {
    let is_armed = Arc::new(AtomicBool::new(true));
    for signal in [SIGTERM, SIGINT] {
        let registered =
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&is_armed));
        if let Err(error) = registered {
            log::warn!("a signal will not end the server at once: {error}");
        }
    }
    is_armed
}

/// How many connections the listeners may have open.
struct ConnectionLimits {
    chat: usize,
    web: usize,
}

/// The configured number of connections, or fewer if the limit of open files requires it.
fn connection_limits(config: &Config) -> ConnectionLimits {
    let wanted = config.limits.connections;
    let descriptors = match net::raise_fd_limit() {
        Ok(descriptors) => descriptors,
        Err(error) => {
            log::warn!("cannot raise the limit of open files: {error}");
            return ConnectionLimits { chat: wanted, web: WEB_CONNECTIONS };
        }
    };
    let web = WEB_CONNECTIONS.min((descriptors / WEB_SHARE) as usize);
    let ops = OPS_LIMITS.connections;
    let beside = config.http.listen.map_or(0, |_| web) + config.ops.listen.map_or(0, |_| ops);
    let allowed = descriptors.saturating_sub(OWN_DESCRIPTORS + beside as u64).max(descriptors / 2);
    if (wanted as u64) > allowed {
        log::warn!(
            "limits.connections is {wanted}, but the limit of open files allows only {allowed}; raise LimitNOFILE"
        );
        return ConnectionLimits { chat: allowed as usize, web };
    }
    ConnectionLimits { chat: wanted, web }
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
