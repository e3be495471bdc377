//! Whole packets over a connection.

use super::error::ClientError;
use bytes::BytesMut;
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{CommonOkPacket, ErrPacket, OkPacket, OkPacketDeserializer, OkPacketKind};
use mysql_common::proto::MySerialize;
use mysql_common::proto::codec::PacketCodec;
use mysql_common::proto::sync_framed::MySyncFramed;
use outbound::Stream;
use std::io::{self, ErrorKind};
use tls::Trust;

/// The longest packet that either side may send, bytes; the greatest that the protocol allows.
pub const PACKET_MAX: u32 = 1 << 30;

/// The first size of a buffer, bytes; it grows to what a packet needs.
const BUFFER: usize = 16 << 10;

/// The first byte of an error.
const ERROR: u8 = 0xff;

/// A connection that carries packets.
pub struct Packets {
    framed: MySyncFramed<Stream>,
    /// What both sides can do; empty before the login.
    pub capabilities: CapabilityFlags,
}

impl Packets {
    pub fn new(stream: Stream) -> Packets {
        let mut codec = PacketCodec::default();
        codec.max_allowed_packet = PACKET_MAX as usize;
        Packets { framed: framed(codec, stream), capabilities: CapabilityFlags::empty() }
    }

    /// Encrypts what follows.
    pub fn start_tls(self, trust: &Trust, host: &str) -> Result<Packets, ClientError> {
        let (received, _, codec, mut stream) = self.framed.destruct();
        // It was sent before the encryption, so anybody on the way may have written it.
        if !received.is_empty() {
            return Err(ClientError::protocol("data before the TLS handshake"));
        }
        stream.start_tls(trust, host)?;
        Ok(Packets { framed: framed(codec, stream), capabilities: self.capabilities })
    }

    pub fn stream(&mut self) -> &mut Stream {
        self.framed.get_mut()
    }

    /// The next packet, which is not empty and not an error.
    pub fn read(&mut self) -> Result<Vec<u8>, ClientError> {
        loop {
            let mut packet = Vec::new();
            if !self.framed.next_packet(&mut packet)? {
                return Err(
                    io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection").into()
                );
            }
            match packet.first() {
                Some(&ERROR) => match ParseBuf(&packet).parse(self.capabilities)? {
                    ErrPacket::Error(error) => return Err(error.into()),
                    ErrPacket::Progress(_) => {}
                },
                Some(_) => return Ok(packet),
                None => return Err(ClientError::protocol("an empty packet")),
            }
        }
    }

    pub fn write(&mut self, mut packet: &[u8]) -> Result<(), ClientError> {
        Ok(self.framed.send(&mut packet)?)
    }

    pub fn write_struct(&mut self, packet: &impl MySerialize) -> Result<(), ClientError> {
        let mut bytes = Vec::new();
        packet.serialize(&mut bytes);
        self.write(&bytes)
    }

    /// Sends a command, which numbers packets from 0 again.
    pub fn command(&mut self, packet: &[u8]) -> Result<(), ClientError> {
        self.framed.codec_mut().reset_seq_id();
        self.write(packet)
    }

    /// Reads a packet that says that all went well.
    pub fn read_ok(&mut self) -> Result<(), ClientError> {
        let packet = self.read()?;
        self.parse_ok::<CommonOkPacket>(&packet)?;
        Ok(())
    }

    pub fn parse_ok<'a, K: OkPacketKind>(&self, packet: &'a [u8]) -> Result<OkPacket<'a>, ClientError> {
        Ok(ParseBuf(packet).parse::<OkPacketDeserializer<'_, K>>(self.capabilities)?.into_inner())
    }
}

fn framed(codec: PacketCodec, stream: Stream) -> MySyncFramed<Stream> {
    MySyncFramed::construct(BytesMut::with_capacity(BUFFER), BytesMut::with_capacity(BUFFER), codec, stream)
}
