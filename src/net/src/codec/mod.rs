pub(crate) mod legacy;
pub(crate) mod tlv;
