//! The search index as this server runs it: where its file is, and the threads' readers.

use crate::config::Config;
use logic::{Found, Read, Ticket};
use search::{Identity, Load, Search, Settings, Source};
use std::path::PathBuf;
use std::time::Instant;
use storage::{Deployment, Opened, Outcome, Reader, StorageUrl, StoreError};

/// A reader of storage.
struct StorageSource(Box<dyn Reader>);

impl Source for StorageSource {
    fn read(&mut self, read: &Read) -> Found {
        self.0.read(read)
    }

    fn settle(&mut self) -> bool {
        self.0.settle()
    }
}

/// What the threads need of a database before its own are started.
pub struct Preparation {
    settings: Settings,
    sources: [StorageSource; 2],
}

/// Prepares the search, if it is enabled. `port`: where this server listens.
pub fn prepare(
    config: &Config,
    opened: &Opened,
    deployment: &Deployment,
    clock_start: Instant,
    port: u16,
) -> Result<Option<Preparation>, StoreError> {
    if !config.search.enabled {
        return Ok(None);
    }
    let identity = Identity {
        server: deployment.server.to_string().into(),
        history: deployment.history.to_string().into(),
    };
    let settings = Settings { file: file(config, port), identity, clock_start };
    let sources = [StorageSource(opened.reader()?), StorageSource(opened.reader()?)];
    Ok(Some(Preparation { settings, sources }))
}

impl Preparation {
    /// Starts the threads, which answer to `outcomes`.
    pub fn start(self, outcomes: runtime::queue::Outbox<Outcome>, load: Load) -> std::io::Result<Search> {
        let answer = move |ticket: Ticket, found: Found| {
            // At shutdown logic may be gone already.
            let _ = outcomes.send(Outcome::Found(vec![(ticket, found)]));
        };
        search::start(self.settings, self.sources, load, answer)
    }
}

fn file(config: &Config, port: u16) -> PathBuf {
    match (&config.search.file, &config.storage.url) {
        (Some(file), _) => file.clone(),
        (None, StorageUrl::Sqlite(path)) => {
            let mut file = path.clone().into_os_string();
            file.push(".search");
            file.into()
        }
        (None, StorageUrl::Mysql(_)) => PathBuf::from(format!("data/search-{port}.db")),
    }
}
