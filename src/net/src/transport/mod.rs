pub(crate) mod keep_alive;
pub(crate) mod proxy_handshake;
pub(crate) mod proxy_header;
