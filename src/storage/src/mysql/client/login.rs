//! Logging in (MySQL Internals, Connection Phase): the server's greeting, TLS, and the proof that the password is known.

use super::error::ClientError;
use super::packets::{PACKET_MAX, Packets};
use super::public_key;
use super::session::Session;
use mysql_common::collations::CollationId;
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse, SslRequest};
use outbound::Stream;
use tls::Trust;

const PROTOCOL: u8 = 10;
/// The length of a nonce without the zero after it.
const NONCE: usize = 20;

// The first byte of packets of the server.
const OK: u8 = 0x00;
const MORE_DATA: u8 = 0x01;
const SWITCH: u8 = 0xfe;

// Caching SHA-2 (MySQL Internals, Caching_sha2_password information).
const FAST_SUCCESS: u8 = 0x03;
const FULL_AUTHENTICATION: u8 = 0x04;
const REQUEST_KEY: u8 = 0x02;

// The server's error numbers (MySQL Server Error Message Reference; MariaDB Error Codes).
const ER_ACCESS_DENIED: u16 = 1045;
const ER_SECURE_TRANSPORT_REQUIRED: u16 = 3159;

/// Who logs in to what.
pub struct Credentials<'a> {
    /// The host that was dialed, which the server's certificate must name.
    pub host: &'a str,
    pub user: &'a str,
    pub password: Option<&'a str>,
    /// The database to select, if any.
    pub database: Option<&'a str>,
    /// With TLS, by these authorities; `None`: in plain text.
    pub trust: Option<&'a Trust>,
}

/// Logs in on a new connection.
pub fn log_in(stream: Stream, credentials: &Credentials<'_>) -> Result<Session, ClientError> {
    let mut packets = Packets::new(stream);
    let greeting = packets.read()?;
    let greeting = ParseBuf(&greeting).parse::<HandshakePacket<'_>>(())?;
    if greeting.protocol_version() != PROTOCOL
        || !greeting.capabilities().contains(CapabilityFlags::CLIENT_PROTOCOL_41)
    {
        return Err(ClientError::protocol(
            "a greeting of another protocol: it is no MySQL or MariaDB server",
        ));
    }
    let offers_tls = greeting.capabilities().contains(CapabilityFlags::CLIENT_SSL);
    packets.capabilities = greeting.capabilities() & wanted(credentials);
    if let Some(trust) = credentials.trust {
        if !offers_tls {
            return Err(ClientError::NoTls);
        }
        let collation = CollationId::UTF8MB4_GENERAL_CI as u8;
        packets.write_struct(&SslRequest::new(packets.capabilities, PACKET_MAX, collation))?;
        packets = packets.start_tls(trust, credentials.host)?;
    }
    let mut nonce = [greeting.scramble_1_ref(), greeting.scramble_2_ref().unwrap_or_default()].concat();
    nonce.resize(NONCE, 0);
    // Others are only used when the server asks for them.
    let plugin = match greeting.auth_plugin() {
        Some(AuthPlugin::CachingSha2Password) => AuthPlugin::CachingSha2Password,
        _ => AuthPlugin::MysqlNativePassword,
    };
    let proof = plugin.gen_data(credentials.password, &nonce).map(|proof| proof.to_vec());
    // Servers of this protocol that are older than this version are refused later.
    let version = greeting.server_version_parsed().unwrap_or((10, 0, 0));
    packets.write_struct(&HandshakeResponse::new(
        proof.as_deref(),
        version,
        Some(credentials.user.as_bytes()),
        credentials.database.map(str::as_bytes),
        Some(plugin.clone()),
        packets.capabilities,
        None,
        PACKET_MAX,
    ))?;
    match authenticate(&mut packets, credentials, plugin.into_owned(), nonce) {
        Ok(()) => Ok(Session::new(packets)),
        Err(error) => Err(explained(error, offers_tls && credentials.trust.is_none())),
    }
}

fn wanted(credentials: &Credentials<'_>) -> CapabilityFlags {
    let mut flags = CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_MULTI_STATEMENTS
        | CapabilityFlags::CLIENT_MULTI_RESULTS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH;
    flags.set(CapabilityFlags::CLIENT_CONNECT_WITH_DB, credentials.database.is_some());
    flags.set(CapabilityFlags::CLIENT_SSL, credentials.trust.is_some());
    flags
}

/// Follows the server's questions until it is satisfied. It may change the plugin once.
fn authenticate(
    packets: &mut Packets,
    credentials: &Credentials<'_>,
    mut plugin: AuthPlugin<'static>,
    mut nonce: Vec<u8>,
) -> Result<(), ClientError> {
    let mut has_switched = false;
    loop {
        let packet = packets.read()?;
        match packet[0] {
            OK => return Ok(()),
            SWITCH if !has_switched && packet.len() > 1 => {
                let switch = ParseBuf(&packet).parse::<AuthSwitchRequest<'_>>(())?;
                has_switched = true;
                plugin = switch.auth_plugin().into_owned();
                nonce = switch.plugin_data().to_vec();
                match plugin {
                    AuthPlugin::CachingSha2Password | AuthPlugin::MysqlNativePassword => {}
                    other => {
                        return Err(ClientError::Plugin(
                            String::from_utf8_lossy(other.as_bytes()).into_owned(),
                        ));
                    }
                }
                let proof = plugin.gen_data(credentials.password, &nonce).map(|proof| proof.to_vec());
                packets.write(proof.as_deref().unwrap_or_default())?;
            }
            MORE_DATA if matches!(plugin, AuthPlugin::CachingSha2Password) => match packet.get(1) {
                Some(&FAST_SUCCESS) => {}
                Some(&FULL_AUTHENTICATION) => send_password(packets, credentials, &nonce)?,
                _ => return Err(ClientError::protocol("an unknown step of caching_sha2_password")),
            },
            _ => return Err(ClientError::protocol("an unexpected packet in the login")),
        }
    }
}

/// Sends the password itself, which a server asks for that does not have it in its cache: encrypted by TLS, or else
/// with a key of the server.
fn send_password(
    packets: &mut Packets,
    credentials: &Credentials<'_>,
    nonce: &[u8],
) -> Result<(), ClientError> {
    let mut password = credentials.password.unwrap_or_default().as_bytes().to_vec();
    password.push(0);
    if packets.stream().is_encrypted() {
        return packets.write(&password);
    }
    packets.write(&[REQUEST_KEY])?;
    let answer = packets.read()?;
    let Some((&MORE_DATA, key)) = answer.split_first() else {
        return Err(ClientError::protocol("no public key was sent"));
    };
    for (byte, mask) in password.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mask;
    }
    packets.write(&public_key::encrypt(key, &password)?)
}

/// Adds what to change to a refusal that TLS may lift.
fn explained(mut error: ClientError, could_use_tls: bool) -> ClientError {
    if let ClientError::Server { code, change, .. } = &mut error {
        *change = match *code {
            ER_ACCESS_DENIED if could_use_tls => Some(
                "check the user and the password, and if the account was made with REQUIRE SSL, set storage.tls = true",
            ),
            ER_SECURE_TRANSPORT_REQUIRED => Some("set storage.tls = true"),
            _ => None,
        };
    }
    error
}
