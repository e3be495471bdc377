//! The unwritten output of a connection.
//!
//! ```text
//!   +----------------+------------------+-----------+
//!   |    written     |     unwritten    |  (spare)  |
//!   +----------------+------------------+-----------+
//!   0             written             len       capacity
//! ```
//!
//! The buffer comes from the reactor's pool with the first byte and goes back with the last: an idle connection holds
//! no memory for output.

use std::io::{self, ErrorKind, Write};

/// A buffer with more written bytes than this at its front, and more than half of it, is compacted before it grows.
const COMPACTION_MIN: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// Bytes at the front that the kernel has taken.
    written: u32,
}

impl Output {
    /// Bytes that the kernel has not taken.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.written as usize
    }

    /// The buffer, for appending.
    pub fn tail(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        let written = self.written as usize;
        if written > COMPACTION_MIN && written > self.bytes.len() / 2 {
            self.bytes.drain(..written);
            self.written = 0;
        }
        &mut self.bytes
    }

    /// Writes once. A short write means the same as `WouldBlock` (epoll(7) on edge triggers), so it is not repeated.
    pub fn write_to(&mut self, transport: &mut impl Write, pool: &mut Pool) -> io::Result<()> {
        let unwritten = &self.bytes[self.written as usize..];
        let taken = loop {
            match transport.write(unwritten) {
                Ok(taken) => break taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        if taken == unwritten.len() {
            self.recycle(pool);
        } else {
            self.written += taken as u32;
        }
        Ok(())
    }

    /// Discards the unwritten output.
    pub fn recycle(&mut self, pool: &mut Pool) {
        self.written = 0;
        pool.give(std::mem::take(&mut self.bytes));
    }
}

/// Output buffers of one reactor that no connection needs at the moment.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    spare: Vec<Vec<u8>>,
    /// The sum of their capacities.
    bytes: usize,
}

impl Pool {
    /// Capacity of a new buffer: some replies.
    const FIRST_BYTES: usize = 1024;
    /// A larger buffer is freed.
    const BUFFER_BYTES_MAX: usize = 256 * 1024;
    /// Capacity of all spare buffers.
    const BYTES_MAX: usize = 1024 * 1024;

    fn take(&mut self) -> Vec<u8> {
        match self.spare.pop() {
            Some(buffer) => {
                self.bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(Self::FIRST_BYTES),
        }
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= Self::BUFFER_BYTES_MAX && self.bytes + capacity <= Self::BYTES_MAX {
            buffer.clear();
            self.bytes += capacity;
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes in all, then would block.
    struct Narrow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room - self.taken.len());
            if taken == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_byte_is_written_once_and_in_order_through_a_narrow_socket() {
        let (mut output, mut pool) = (Output::default(), Pool::default());
        let mut socket = Narrow { room: 0, taken: Vec::new() };
        let mut expected = Vec::new();
        for round in 0..200u8 {
            output.tail(&mut pool).extend_from_slice(&[round; 5_000]);
            expected.extend_from_slice(&[round; 5_000]);
            socket.room += 4_800;
            output.write_to(&mut socket, &mut pool).unwrap();
            assert_eq!(output.len(), 200 * (usize::from(round) + 1));
            output.write_to(&mut socket, &mut pool).unwrap();
            assert_eq!(output.len(), 200 * (usize::from(round) + 1), "nothing was taken");
        }
        assert_eq!(output.len(), 200 * 200);
        socket.room += output.len();
        output.write_to(&mut socket, &mut pool).unwrap();
        assert!(output.len() == 0 && socket.taken == expected);
        assert_eq!(output.bytes.capacity(), 0, "an idle connection keeps no buffer");
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut pool = Pool::default();
        for _ in 0..100 {
            pool.give(Vec::with_capacity(60 * 1024));
            pool.give(Vec::with_capacity(10 * 1024 * 1024));
        }
        assert!(pool.bytes <= Pool::BYTES_MAX && pool.spare.len() <= 17);
    }
}
