//! Faults of a configuration that its text does not show: settings that exclude each other, and files that cannot be
//! used. Nothing is opened over the network, and nothing is changed.

use super::keys::{Cluster, Config, Storage};
use super::secret::secret;
use crate::bus;
use logic::contract::Quotas;
use redis::ConnectionInfo;
use std::net::SocketAddr;
use storage::{Database, StorageUrl};

impl Config {
    /// All faults, each as a sentence that says what to change.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.storage.settings() {
            Ok(settings) => faults.extend(storage::examine(&settings).err().map(|error| error.to_string())),
            Err(fault) => faults.push(fault),
        }
        faults.extend(self.redis().err());
        faults.extend(self.cluster.advertised(self.chat.listen).err());
        faults
    }

    /// The address and credentials of Redis; `None` on a single node. Reads the password file, if there is one.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn redis(&self) -> Result<Option<ConnectionInfo>, String> {
        let Some(url) = &self.cluster.redis else { return Ok(None) };
        if let StorageUrl::Sqlite(_) = self.storage.url {
            let sentence =
                "cluster.redis needs a database that nodes can share: set storage.url to a `mysql:` URL";
            return Err(sentence.to_owned());
        }
        let info = bus::parse_url(&url.0).map_err(|error| format!("cluster.redis {error}"))?;
        let Some(path) = &self.cluster.password_file else { return Ok(Some(info)) };
        let password = secret("cluster.password_file", path)?;
        let settings = info.redis_settings().clone().set_password(password);
        Ok(Some(info.set_redis_settings(settings)))
    }
}

impl Storage {
    /// The settings of storage. Reads the password file, if there is one.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn settings(&self) -> Result<storage::Settings, String> {
        let password = match (&self.url, &self.password_file) {
            (StorageUrl::Mysql(Database { password: Some(_), .. }), Some(_)) => {
                let sentence = "storage.url contains a password and storage.password_file names a file with one: \
                                remove one of the two";
                return Err(sentence.to_owned());
            }
            (StorageUrl::Mysql(_), Some(path)) => Some(secret("storage.password_file", path)?),
            _ => None,
        };
        let accept_weak_durability = self.accept_weak_durability;
        let quotas = Quotas::default();
        Ok(storage::Settings { url: self.url.clone(), password, accept_weak_durability, quotas })
    }
}

impl Cluster {
    /// Where clients of other nodes can reach this one, if it listens at `address`. `None`: it is for this node to find
    /// out, because no other node needs it.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn advertised(&self, address: SocketAddr) -> Result<Option<String>, String> {
        match (&*self.advertise, &self.redis) {
            ("", None) if address.ip().is_unspecified() => Ok(None),
            ("", Some(_)) if address.ip().is_unspecified() => Err(format!(
                "other nodes would send clients to {address}, which is no address of this machine: set \
                 cluster.advertise to the host and port at which clients reach this node, like `{}:{}`",
                "chat1.example",
                address.port()
            )),
            ("", _) => Ok(Some(address.to_string())),
            (advertise, _) => Ok(Some(advertise.to_owned())),
        }
    }
}
