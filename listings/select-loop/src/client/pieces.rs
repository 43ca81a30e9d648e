//! What a client sends of a file, when others read it: nothing that is not in memory.
//!
//! sendfile would wait for the disk in the middle of the call. So a piece is read first, by
//! the loop if that needs no waiting, by the pool if it does, and sent from memory. What the
//! socket has no room for is not kept: it is in the page cache now, and will be read again.

use std::io;

use guestbook::{Now, Out};
use iterative::File;
use rustix::net;

use super::{Client, NO_SIGNAL};
use crate::House;
use crate::disk::{Disk, PIECE, Visit};

impl Client {
    /// Sends as much of a piece as is in memory, or has it read.
    // ANCHOR: send-from-memory
    pub(super) fn send_from_memory(
        &mut self,
        out: Out<File>,
        slot: usize,
        house: &mut House,
    ) {
        let (Out::File { file, at, len }, Some(disk)) = (&out, &mut house.disk) else {
            return self.guest.fail();
        };
        house.page.resize((*len).min(PIECE as u64) as usize, 0);
        let bytes = match self.take_piece(file, *at, &mut house.page, slot, disk) {
            // The file is shorter than it was: the length that we promised cannot be kept.
            Some(0) => return self.guest.fail(),
            Some(n) => &house.page[..n],
            None => {
                self.awaited = vec![out];
                return;
            }
        };
        match net::send(&self.socket, bytes, NO_SIGNAL) {
            Ok(n) => {
                self.may_write = n == bytes.len();
                self.guest.sent(out, n as u64, house.now);
            }
            Err(error) => {
                self.guest.sent(out, 0, house.now);
                self.not_sent(error);
            }
        }
    }
    // ANCHOR_END: send-from-memory

    /// Fills the buffer with what was read for us, or with what is in memory. None: it will
    /// be read, and so will all that follows in this response. An attempt on the next piece
    /// would find it in memory, and might find the mark at which the kernel reads further
    /// ahead: then it is the loop that asks the disk for the next megabytes.
    // ANCHOR: take-piece
    pub(super) fn take_piece(
        &mut self,
        file: &File,
        at: u64,
        buffer: &mut [u8],
        slot: usize,
        disk: &mut Disk,
    ) -> Option<usize> {
        match self.in_memory.take() {
            Some((place, bytes)) if place == at => {
                let n = bytes.len().min(buffer.len());
                buffer[..n].copy_from_slice(&bytes[..n]);
                Some(n)
            }
            _ => {
                let read = disk.read(self.visit(slot), file, at, buffer, !self.is_cold);
                self.is_cold |= read.is_none();
                read
            }
        }
    }
    // ANCHOR_END: take-piece

    /// The pool has read what this client waits for.
    // ANCHOR: has-read
    pub(crate) fn has_read(&mut self, at: u64, read: io::Result<Vec<u8>>, now: Now) {
        for out in std::mem::take(&mut self.awaited) {
            self.guest.sent(out, 0, now); // none of it yet: it is the next piece again
        }
        match read {
            Ok(bytes) => self.in_memory = Some((at, bytes)),
            Err(_) => self.guest.fail(),
        }
    }
    // ANCHOR_END: has-read

    /// Who asks the pool.
    pub(super) fn visit(&self, slot: usize) -> Visit {
        Visit { slot, number: self.visit }
    }
}
