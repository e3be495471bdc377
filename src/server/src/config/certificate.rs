//! The server's certificate and key, read from the files that the configuration names.

use super::keys::Tls;
use super::secret::{is_exposed, named_file};
use runtime::regular_file::{Access, open_regular, read_regular, read_to_limit};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tls::{Identity, IdentityError, TlsRequired};

/// The longest file, bytes.
const FILE_BYTES: u64 = 1 << 20;
const CERTIFICATE: &str = "tls.certificate";
const KEY: &str = "tls.key";

impl Tls {
    /// The certificate and its key; `None` without TLS. A certificate that is not valid at this time is one too.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn identity(&self) -> Result<Option<Identity>, String> {
        let (certificate, key) = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(alone(CERTIFICATE, KEY)),
            (None, Some(_)) => return Err(alone(KEY, CERTIFICATE)),
        };
        let chain = read_certificate(certificate).map_err(|why| names(CERTIFICATE, certificate, &why))?;
        let secret = read_key(key).map_err(|why| names(KEY, key, &why))?;
        let identity = Identity::from_pem(&chain, &secret).map_err(|error| match error {
            IdentityError::Certificate(why) => names(CERTIFICATE, certificate, &why),
            IdentityError::Key(why) => names(KEY, key, &why),
            IdentityError::Mismatch => format!(
                "`{CERTIFICATE}` ({}) and `{KEY}` ({}) do not belong together: the key is not that of the first certificate",
                certificate.display(),
                key.display()
            ),
        })?;
        Ok(Some(identity))
    }

    /// A setting without effect that looks like protection.
    pub fn fault(&self) -> Option<String> {
        let is_open =
            self.required == TlsRequired::Always && self.certificate.is_none() && self.key.is_none();
        is_open.then(|| {
            "tls.required is \"always\", but without a certificate there is no TLS and every connection is accepted: set \
             tls.certificate and tls.key"
                .to_owned()
        })
    }

    /// The same, but only a certificate that clients accept at this time.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn valid_identity(&self) -> Result<Option<Identity>, String> {
        let identity = self.identity()?;
        match identity.as_ref().and_then(|identity| self.time_fault(identity)) {
            Some(fault) => Err(fault),
            None => Ok(identity),
        }
    }

    /// Why clients do not accept the certificate at this time.
    pub fn time_fault(&self, identity: &Identity) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (why, path) = (identity.time_fault(now)?, self.certificate.as_deref()?);
        Some(names(CERTIFICATE, path, &why))
    }
}

fn names(key: &str, path: &Path, why: &str) -> String {
    format!("`{key}` names {}: {why}", path.display())
}

fn alone(set: &str, missing: &str) -> String {
    format!("`{set}` is set, but `{missing}` is not: set both, or remove `{set}`")
}

fn read_certificate(path: &Path) -> Result<Vec<u8>, String> {
    read_regular(&named_file(path)?, FILE_BYTES).map_err(|error| error.to_string())
}

/// A key that every user of the machine can read is refused, as a password is.
fn read_key(path: &Path) -> Result<Vec<u8>, String> {
    let path = named_file(path)?;
    let file = open_regular(&path, Access::Read).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if is_exposed(&metadata) {
        let place = path.display();
        return Err(format!("every user of this machine can read it; run chmod o-rwx {place}"));
    }
    read_to_limit(file, FILE_BYTES).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_fault_of_the_files_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            path
        };
        let key = KeyPair::generate().unwrap();
        let params = || CertificateParams::new(vec!["chat.example".to_owned()]).unwrap();
        let good = write("good", &params().self_signed(&key).unwrap().pem());
        let own = write("own", &key.serialize_pem());
        let foreign = write("foreign", &KeyPair::generate().unwrap().serialize_pem());
        let empty = write("empty", "nothing\n");
        let torn = write("torn", "-----BEGIN CERTIFICATE-----\nAAAA\n");
        let times = |from: i32, until: i32| {
            let mut params = params();
            (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 2, 3));
            params.self_signed(&key).unwrap().pem()
        };
        let expired = write("expired", &times(2020, 2021));
        let early = write("early", &times(2090, 2091));
        let missing = folder.path().join("missing");
        let exposed = write("exposed", &key.serialize_pem());
        fs::set_permissions(&exposed, Permissions::from_mode(0o644)).unwrap();

        let tls = |certificate: Option<&Path>, key: Option<&Path>| Tls {
            certificate: certificate.map(Path::to_owned),
            key: key.map(Path::to_owned),
            ..Tls::default()
        };
        assert!(tls(None, None).valid_identity().unwrap().is_none());
        let identity = tls(Some(&good), Some(&own)).valid_identity().unwrap().unwrap();
        assert!(identity.not_after > 4_000_000_000, "rcgen's certificates end in 4096");
        for (certificate, key, said) in [
            (Some(&good), None, "`tls.certificate` is set, but `tls.key` is not"),
            (None, Some(&own), "`tls.key` is set, but `tls.certificate` is not"),
            (Some(&missing), Some(&own), "`tls.certificate` names "),
            (Some(&missing), Some(&own), "missing: No such file"),
            (Some(&good), Some(&missing), "`tls.key` names "),
            (Some(&empty), Some(&own), "empty: there is no certificate in it"),
            (Some(&own), Some(&own), "own: there is no certificate in it"),
            (Some(&torn), Some(&own), "torn: it is damaged"),
            (Some(&good), Some(&good), "good: there is no private key in it"),
            (Some(&good), Some(&foreign), "do not belong together"),
            (Some(&good), Some(&exposed), "every user of this machine can read it; run chmod o-rwx "),
            (
                Some(&expired),
                Some(&own),
                "expired: the certificate expired on 2021-02-03T00:00:00Z: renew it",
            ),
            (Some(&early), Some(&own), "early: the certificate is only valid from 2090-01-01T00:00:00Z"),
        ] {
            let fault =
                tls(certificate.map(|path| &**path), key.map(|path| &**path)).valid_identity().unwrap_err();
            assert!(fault.contains(said), "{fault}");
        }
        assert!(tls(Some(&expired), Some(&own)).identity().is_ok(), "a start only warns of the time");
    }
}
