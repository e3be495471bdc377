pub(crate) mod local_time;
pub(crate) mod pace;
pub(crate) mod synthetic_acks;
