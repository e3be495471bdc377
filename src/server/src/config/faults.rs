//! Faults of a configuration that its text does not show: settings that exclude each other, and files that cannot be
//! used. Nothing is opened over the network, and nothing is changed.

use super::keys::{Cluster, Config, Storage};
use super::secret::{named_file, secret};
use crate::bus::Endpoint;
use logic::contract::Quotas;
use std::net::SocketAddr;
use std::path::Path;
use storage::{Database, StorageUrl};
use tls::{Trust, is_verifiable};

impl Config {
    /// All faults, each as a sentence that says what to change.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.storage.settings() {
            Ok(settings) => faults.extend(storage::examine(&settings).err().map(|error| error.to_string())),
            Err(fault) => faults.push(fault),
        }
        faults.extend(self.tls.fault());
        faults.extend(self.tls.valid_identity().err());
        faults.extend(self.redis().err());
        faults.extend(self.cluster.advertised(self.chat.listen).err());
        faults
    }

    /// The address and credentials of Redis; `None` on a single node. Reads the files that the configuration names.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn redis(&self) -> Result<Option<Endpoint>, String> {
        let Some(url) = &self.cluster.redis else { return Ok(None) };
        if let StorageUrl::Sqlite(_) = self.storage.url {
            let sentence =
                "cluster.redis needs a database that nodes can share: set storage.url to a `mysql:` URL";
            return Err(sentence.to_owned());
        }
        let mut endpoint = Endpoint::parse(&url.0).map_err(|error| format!("cluster.redis {error}"))?;
        let authorities = AuthorityFile { key: "cluster.ca_file", path: self.cluster.ca_file.as_deref() };
        endpoint.trust = match url.has_tls() {
            true => Some(authorities.read(&endpoint.host)?),
            false => authorities.unused("write rediss:// instead of redis:// in cluster.redis")?,
        };
        if let Some(path) = &self.cluster.password_file {
            endpoint.password = Some(secret("cluster.password_file", path)?);
        }
        Ok(Some(endpoint))
    }
}

/// A configuration key that names a file with the certificates of authorities.
struct AuthorityFile<'a> {
    key: &'static str,
    path: Option<&'a Path>,
}

impl AuthorityFile<'_> {
    /// The authorities that may vouch for this host.
    fn read(&self, host: &str) -> Result<Trust, String> {
        if !is_verifiable(host) {
            return Err(format!(
                "TLS is on, but a certificate cannot name the host `{host}`: use another name of it"
            ));
        }
        let Some(path) = self.path else { return Trust::of_system(self.key) };
        let place =
            named_file(path).map_err(|why| format!("`{}` names {}: {why}", self.key, path.display()))?;
        Trust::of_file(self.key, &place)
    }

    /// Without TLS: `None`. `change` turns it on.
    fn unused(&self, change: &str) -> Result<Option<Trust>, String> {
        match self.path {
            Some(_) => Err(format!("`{}` is set, but TLS is off: {change}, or remove `{0}`", self.key)),
            None => Ok(None),
        }
    }
}

impl Storage {
    /// The settings of storage. Reads the files that the configuration names.
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
        let authorities = AuthorityFile { key: "storage.ca_file", path: self.ca_file.as_deref() };
        let trust = match &self.url {
            StorageUrl::Mysql(database) if self.tls => Some(authorities.read(&database.host)?),
            StorageUrl::Mysql(_) => authorities.unused("set `storage.tls` to true")?,
            StorageUrl::Sqlite(_) if self.tls || self.ca_file.is_some() => {
                let sentence = "`storage.tls` and `storage.ca_file` are about a database server, but storage.url names \
                                an SQLite file: remove them, or set storage.url to a `mysql:` URL";
                return Err(sentence.to_owned());
            }
            StorageUrl::Sqlite(_) => None,
        };
        let Storage { accept_weak_durability, retention_months, .. } = *self;
        let (url, quotas) = (self.url.clone(), Quotas::default());
        Ok(storage::Settings { url, password, trust, accept_weak_durability, retention_months, quotas })
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
