//! The protocols that a connection can speak; its first byte selects one.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Tlv,
    /// The JSON objects of the muduo cluster chat clients.
    Legacy,
}

impl Dialect {
    /// The dialect that a connection's first byte selects; `None` where no dialect begins with it.
    pub fn from_first_byte(byte: u8) -> Option<Dialect> {
        match byte {
            0x43 => Some(Dialect::Tlv),
            b'{' | 0 | b' ' | b'\r' | b'\n' | b'\t' => Some(Dialect::Legacy),
            _ => None,
        }
    }
}
