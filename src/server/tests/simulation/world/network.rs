//! The network between devices and nodes: bytes are delivered in any portions, and links are made, cut and lost.

use super::World;
use crate::link::Link;
use chatclient_core::Lost;
use logic::{ConnId, Input};
use wire::Dialect;

impl World {
    pub fn live_links(&self) -> Vec<usize> {
        (0..self.links.len()).filter(|&at| !(self.links[at].dead_here && self.links[at].dead_there)).collect()
    }

    /// Delivers some bytes to the server.
    pub fn up(&mut self, at: usize, count: usize) {
        if self.links[at].dead_here {
            return;
        }
        let requests = self.links[at].receive(count);
        self.arrived(at, requests);
        if self.links[at].dead_there && self.links[at].up.is_empty() {
            self.server_notices(at);
        }
    }

    /// Delivers some bytes to the device.
    pub fn down(&mut self, at: usize, count: usize) {
        let link = &mut self.links[at];
        if link.cut {
            link.down.clear();
        }
        let count = count.min(link.down.len());
        let bytes: Vec<u8> = link.down.drain(..count).collect();
        let (device, empty) = (link.device, link.down.is_empty());
        if empty && link.notify && !link.dead_here {
            link.notify = false;
            let (conn, node) = (link.conn, link.node);
            self.nodes[node].inputs.push_back(Input::Drained { conn });
        }
        if self.links[at].dead_there {
            return;
        }
        if !bytes.is_empty() {
            let ms = self.ms;
            self.devices[device].session.handle_bytes(ms, &bytes);
            self.pump(device);
        }
        if empty && self.links[at].closing && !self.links[at].dead_here {
            self.server_notices(at);
        }
        if empty && self.links[at].dead_here && !self.links[at].dead_there {
            self.device_notices(at);
        }
    }

    /// The server notices that a link is gone.
    pub fn server_notices(&mut self, at: usize) {
        let link = &mut self.links[at];
        if !std::mem::replace(&mut link.dead_here, true) {
            let (conn, node) = (link.conn, link.node);
            self.nodes[node].inputs.push_back(Input::Closed { conn });
        }
    }

    /// The device notices that its link is gone.
    pub fn device_notices(&mut self, at: usize) {
        let (device, ms) = (self.links[at].device, self.ms);
        self.links[at].dead_there = true;
        if self.devices[device].link == Some(at) {
            self.devices[device].link = None;
            self.devices[device].session.handle_disconnected(ms, Lost::Closed);
            self.pump(device);
        }
    }

    /// Cuts a link: bytes in flight are lost, and each end notices now or later.
    pub fn drop_link(&mut self, at: usize) {
        self.links[at].cut = true;
        self.links[at].up.clear();
        if self.dice.once_in(2) {
            self.server_notices(at);
        }
        if self.dice.once_in(2) {
            self.links[at].down.clear();
            self.device_notices(at);
        }
    }

    /// Connects a device that wants a link to any node.
    pub fn connect(&mut self, device: usize) {
        let node = self.dice.below(self.nodes.len());
        self.connect_to(device, node);
    }

    /// Connects a device that wants a link to this node.
    pub fn connect_to(&mut self, device: usize, node: usize) {
        if !std::mem::take(&mut self.devices[device].wants_link) {
            return;
        }
        self.generation += 1;
        let conn = ConnId::new(0, self.links.len(), self.generation);
        self.links.push(Link::new(conn, node, device));
        let opened = Input::Opened { conn, peer: [127, 0, 0, 1].into(), dialect: Dialect::Tlv };
        self.nodes[node].inputs.push_back(opened);
        let (at, ms) = (self.links.len() - 1, self.ms);
        self.devices[device].link = Some(at);
        self.devices[device].session.handle_connected(ms);
        self.pump(device);
    }

    /// Carries out the actions of a device's core.
    pub fn pump(&mut self, device: usize) {
        let mut out = Vec::new();
        let ms = self.ms;
        let close = self.devices[device].pump(ms, &mut out);
        let Some(at) = self.devices[device].link else { return };
        if close {
            // The device closes its end; bytes written before still arrive.
            self.links[at].dead_there = true;
            self.devices[device].link = None;
        } else if !self.links[at].cut {
            self.links[at].up.extend(out);
        }
    }

    pub fn tick_devices(&mut self) {
        for device in 0..self.devices.len() {
            let ms = self.ms;
            if self.devices[device].session.next_timeout().is_some_and(|due| due <= ms) {
                self.devices[device].session.handle_timeout(ms);
                self.pump(device);
            }
        }
    }
}
