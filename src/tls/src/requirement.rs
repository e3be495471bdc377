//! Who must use TLS.

/// Whose connections must be encrypted, where there is a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsRequired {
    /// All but those from this machine and from trusted proxies.
    #[default]
    Remote,
    Always,
    Never,
}

impl TlsRequired {
    /// Whether a connection that is not encrypted is refused. `is_near`: nobody else reads what it sends, because its
    /// peer is this machine or a trusted proxy.
    pub fn refuses_plain(self, is_near: bool) -> bool {
        match self {
            TlsRequired::Never => false,
            TlsRequired::Remote => !is_near,
            TlsRequired::Always => true,
        }
    }
}
