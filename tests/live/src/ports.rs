//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// `count` ports that nobody listens on. They are below the range that systems take the local end of outgoing
/// connections from: a node that is down for a while must find its port free when it comes back.
pub(crate) fn free(count: usize) -> Result<Vec<u16>> {
    let mut random = fastrand::Rng::new();
    let mut held = Vec::with_capacity(count);
    for _ in 0..10_000 {
        if held.len() == count {
            break;
        }
        let port = random.u16(10_240..32_000);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        bail!("found only {} free ports of {count} on loopback", held.len());
    }
    Ok(held.into_iter().map(|(port, _listener)| port).collect())
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let mut ports = free(8).unwrap();
        for port in &ports {
            // A process that another test starts at this moment holds our sockets until its program is loaded.
            let mut bound = (0..50).map(|_| {
                thread::sleep(Duration::from_millis(10));
                TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
            });
            assert!(bound.any(|bound| bound), "port {port} is taken");
        }
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 8);
    }
}
