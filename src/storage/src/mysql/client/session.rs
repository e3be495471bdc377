//! A connection that is logged in.

use super::error::ClientError;
use super::packets::Packets;
use mysql_common::Row;
use mysql_common::constants::{Command, StatusFlags};
use mysql_common::io::{ParseBuf, ReadMysqlExt};
use mysql_common::packets::{Column, CommonOkPacket, OldEofPacket};
use mysql_common::proto::Text;
use mysql_common::row::RowDeserializer;
use mysql_common::value::ServerSide;
use std::sync::Arc;
use std::time::Duration;

// The first byte of packets of the server.
const OK: u8 = 0x00;
const LOCAL_FILE: u8 = 0xfb;
const END: u8 = 0xfe;
/// Shorter packets that begin with [`END`] are no rows (MySQL Internals, EOF_Packet).
const END_BYTES: usize = 9;

/// A session of a database server.
pub struct Session {
    packets: Packets,
    /// Whether the last statement of a command is not answered yet.
    has_more: bool,
}

/// The answer to one statement.
#[derive(Debug, Default)]
pub struct ResultSet {
    pub rows: Vec<Row>,
    pub affected_rows: u64,
    pub last_insert_id: u64,
}

impl Session {
    pub(super) fn new(packets: Packets) -> Session {
        Session { packets, has_more: false }
    }

    /// Limits each wait for the server.
    pub fn set_limit(&mut self, limit: Duration) -> Result<(), ClientError> {
        Ok(self.packets.stream().set_limit(limit)?)
    }

    /// Sends statements, whose answers [`Session::next_answer`] then returns in order.
    pub fn send(&mut self, sql: &str) -> Result<(), ClientError> {
        let mut command = Vec::with_capacity(1 + sql.len());
        command.push(Command::COM_QUERY as u8);
        command.extend_from_slice(sql.as_bytes());
        self.packets.command(&command)?;
        self.has_more = true;
        Ok(())
    }

    /// The answer to the next statement; `None`: all are answered. After an error of the server the rest is not executed.
    pub fn next_answer(&mut self) -> Result<Option<ResultSet>, ClientError> {
        if !std::mem::take(&mut self.has_more) {
            return Ok(None);
        }
        let packet = self.packets.read()?;
        match packet[0] {
            OK => {
                let ok = self.packets.parse_ok::<CommonOkPacket>(&packet)?;
                self.has_more = has_more(ok.status_flags());
                Ok(Some(ResultSet {
                    rows: Vec::new(),
                    affected_rows: ok.affected_rows(),
                    last_insert_id: ok.last_insert_id().unwrap_or(0),
                }))
            }
            LOCAL_FILE => Err(ClientError::protocol("a request for a local file")),
            _ => {
                let rows = self.rows(&packet)?;
                Ok(Some(ResultSet { rows, ..ResultSet::default() }))
            }
        }
    }

    fn rows(&mut self, header: &[u8]) -> Result<Vec<Row>, ClientError> {
        let count = (&mut &*header).read_lenenc_int()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            let packet = self.packets.read()?;
            columns.push(ParseBuf(&packet).parse::<Column>(())?);
        }
        let columns: Arc<[Column]> = columns.into();
        let end = self.packets.read()?;
        self.packets.parse_ok::<OldEofPacket>(&end)?;
        let mut rows = Vec::new();
        loop {
            let packet = self.packets.read()?;
            if packet[0] == END && packet.len() < END_BYTES {
                let end = self.packets.parse_ok::<OldEofPacket>(&packet)?;
                self.has_more = has_more(end.status_flags());
                return Ok(rows);
            }
            let row = ParseBuf(&packet).parse::<RowDeserializer<ServerSide, Text>>(Arc::clone(&columns))?;
            rows.push(row.into_inner());
        }
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self) -> Result<(), ClientError> {
        self.packets.command(&[Command::COM_PING as u8])?;
        self.packets.read_ok()
    }
}

impl Drop for Session {
    /// Takes leave, so that the server does not count a lost connection.
    fn drop(&mut self) {
        // The connection may be lost already.
        let _ = self.packets.command(&[Command::COM_QUIT as u8]);
        self.packets.stream().shut_down();
    }
}

fn has_more(status: StatusFlags) -> bool {
    status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS)
}
