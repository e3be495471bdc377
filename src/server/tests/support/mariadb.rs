//! Private MariaDB servers, each in a folder of its own and on a free port. A watchdog process kills a server
//! and removes its folder when the test process is gone, however that ended.

use super::ports::free_port;
use super::system::{find, is_root};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The superuser of these servers. The password needs quoting in a URL and in SQL.
pub const USER: &str = "chat";
pub const PASSWORD: &str = "p@ss:w/ö'rd";

/// How long a server may take to start or to stop on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server, prints its pid, and kills it when standard input ends. The first argument is its folder.
const WATCHDOG: &str = r#"
    trap "" INT TERM HUP
    folder=$1; shift
    "$@" </dev/null >>"$folder/log" 2>&1 &
    echo $!
    read -r word
    kill -KILL $! 2>/dev/null
    wait
    [ "$word" = keep ] || rm -rf "$folder"
"#;

/// A running server.
pub struct MariaDb {
    folder: PathBuf,
    options: Vec<String>,
    environment: Vec<(String, String)>,
    pub port: u16,
    /// The server's process.
    pub pid: u32,
    watchdog: Child,
}

impl MariaDb {
    /// The server that all tests of this process share. Each test has a database of its own and leaves the server as it
    /// is.
    pub fn shared() -> &'static MariaDb {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(|| MariaDb::start(&[]))
    }

    /// Starts a server with these options.
    pub fn start(options: &[&str]) -> MariaDb {
        let name = format!("chatserver-mariadb-{}-{}", std::process::id(), number());
        MariaDb::start_in(std::env::temp_dir().join(name), options)
    }

    /// Starts a server in a new folder, which is removed afterwards.
    pub fn start_in(folder: PathBuf, options: &[&str]) -> MariaDb {
        MariaDb::start_with(folder, options, &[])
    }

    /// The same, with further variables in the server's environment.
    pub fn start_with(folder: PathBuf, options: &[&str], environment: &[(String, String)]) -> MariaDb {
        fs::create_dir(&folder).unwrap();
        let data = folder.join("data");
        let installed = Command::new(find("mariadb-install-db", MISSING))
            .arg("--no-defaults")
            .args(run_as())
            .arg(format!("--datadir={}", data.display()))
            // A starting server removes temporary tables of others in the same folder.
            .arg(format!("--tmpdir={}", folder.display()))
            .args(["--skip-test-db", "--innodb-log-file-size=16M"])
            .output();
        let installed = installed.unwrap_or_else(|error| panic!("mariadb-install-db: {error}: {MISSING}"));
        assert!(installed.status.success(), "{MISSING}\n{}", String::from_utf8_lossy(&installed.stderr));
        let quoted = PASSWORD.replace('\'', "''");
        fs::write(
            folder.join("init.sql"),
            format!(
                "CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{quoted}';\n\
                 GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
            ),
        )
        .unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let port = free_port();
        let environment = environment.to_vec();
        let (watchdog, pid) = launch(&folder, port, &options, &environment);
        let server = MariaDb { folder, options, environment, port, pid, watchdog };
        server.wait_until_ready();
        server
    }

    /// The URL of a database on this server.
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.port, database)
    }

    /// The URL of a database, through another port.
    pub fn url_at(&self, port: u16, database: &str) -> String {
        let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("mysql://{USER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// A fresh database name.
    pub fn new_name(&self) -> String {
        format!("test_{}", number())
    }

    /// Executes a query.
    pub fn ask(&self, sql: &str) -> Vec<mysql::Row> {
        self.connect().unwrap().query(sql).unwrap()
    }

    /// A connection as the superuser.
    pub fn connect(&self) -> mysql::Result<Conn> {
        let options = OptsBuilder::new()
            .ip_or_hostname(Some("127.0.0.1"))
            .tcp_port(self.port)
            .user(Some(USER))
            .pass(Some(PASSWORD))
            .prefer_socket(false);
        Conn::new(options)
    }

    /// Kills it; its data stays.
    pub fn kill9(&mut self) {
        self.end("keep\n");
    }

    /// Restarts it on the same data and port.
    pub fn restart(&mut self) {
        (self.watchdog, self.pid) = launch(&self.folder, self.port, &self.options, &self.environment);
        self.wait_until_ready();
    }

    fn end(&mut self, word: &str) {
        use std::io::Write;
        // The watchdog may have ended already.
        if let Some(mut input) = self.watchdog.stdin.take() {
            let _ = input.write_all(word.as_bytes());
        }
        self.watchdog.wait().unwrap();
    }

    fn wait_until_ready(&self) {
        let until = Instant::now() + PATIENCE;
        while let Err(error) = self.connect() {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "MariaDB does not start ({error}): {}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.end("");
    }
}

const MISSING: &str =
    "MariaDB's server is missing or cannot be set up: run scripts/test-needs.sh (make test does)";

fn launch(folder: &Path, port: u16, options: &[String], environment: &[(String, String)]) -> (Child, u32) {
    let in_folder = |option: &str, name: &str| format!("--{option}={}", folder.join(name).display());
    let mut watchdog = Command::new("sh")
        .args(["-c", WATCHDOG, "sh"])
        .arg(folder)
        .arg(find("mariadbd", MISSING))
        .arg("--no-defaults")
        .args(run_as())
        .args([in_folder("datadir", "data"), in_folder("socket", "socket"), in_folder("pid-file", "pid")])
        .args([in_folder("init-file", "init.sql"), in_folder("tmpdir", ""), format!("--port={port}")])
        .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-log-file-size=16M"])
        .args(["--innodb-buffer-pool-size=64M", "--performance-schema=OFF"])
        .args(options)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = String::new();
    BufReader::new(watchdog.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    (watchdog, pid.trim().parse().unwrap())
}

fn run_as() -> Option<&'static str> {
    is_root().then_some("--user=root")
}

fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
