//! The kernel's counts of connections that no program saw.

/// Counts from `/proc/net/netstat`, of the whole network namespace. A count that the kernel lacks
/// is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Netstat {
    /// Connections dropped because the accept queue of their listener was full.
    pub(super) listen_overflows: Option<u64>,
    /// Connections dropped by a listener for any reason, a full queue included.
    pub(super) listen_drops: Option<u64>,
    /// Packets dropped because the backlog of a busy socket was full.
    pub(super) backlog_drops: Option<u64>,
}

impl Netstat {
    /// Parses the text of the file: pairs of lines, names and values, that begin with the name of
    /// their group.
    pub(super) fn parse(text: &str) -> Netstat {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(GROUP));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
            return Netstat::default();
        };
        let value = |wanted: &str| {
            let mut pairs = names.split_whitespace().zip(values.split_whitespace());
            pairs.find(|&(name, _)| name == wanted).and_then(|(_, value)| value.parse().ok())
        };
        Netstat {
            listen_overflows: value("ListenOverflows"),
            listen_drops: value("ListenDrops"),
            backlog_drops: value("TCPBacklogDrop"),
        }
    }
}

const GROUP: &str = "TcpExt:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_not_by_position() {
        let text = "IpExt: ListenDrops\nIpExt: 9\n\
                    TcpExt: TW ListenDrops TCPBacklogDrop ListenOverflows TCPTimeouts\n\
                    TcpExt: 1 22 333 4444 5\n\
                    MPTcpExt: ListenOverflows\nMPTcpExt: 8\n";
        let expected = Netstat {
            listen_overflows: Some(4444),
            listen_drops: Some(22),
            backlog_drops: Some(333),
        };
        assert_eq!(Netstat::parse(text), expected);
    }

    #[test]
    fn missing_counts_and_non_numbers_are_left_out() {
        for text in ["", "TcpExt: ListenDrops\n", "IpExt: ListenDrops\nIpExt: 1\n"] {
            assert_eq!(Netstat::parse(text), Netstat::default(), "{text:?}");
        }
        let odd = Netstat::parse("TcpExt: ListenOverflows ListenDrops TCPBacklogDrop\nTcpExt: x 7");
        assert_eq!(odd, Netstat { listen_drops: Some(7), ..Netstat::default() });
    }
}
