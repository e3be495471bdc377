//! Presence. The session keeps no presence state: a push of [`wire::presence::Push`] reaches the caller as
//! [`crate::Event::Push`].
