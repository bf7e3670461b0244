//! How TLS handshakes end.

/// The end of a client's TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Handshake {
    /// A new session, TLS 1.2.
    Full12,
    /// A new session, TLS 1.3.
    Full13,
    /// An earlier session taken up, TLS 1.2.
    Resumed12,
    /// An earlier session taken up, TLS 1.3.
    Resumed13,
    /// No certificate serves the name that was asked for.
    NoCertificate,
    /// What came is no TLS.
    NotTls,
    /// The client's certificate is missing or does not count.
    ClientCertificate,
    /// The client breaks TLS, or has nothing in common with us.
    Protocol,
    /// The client ended it with an alert: as a rule, it does not trust the certificate.
    Alert,
    /// The connection broke.
    Closed,
    /// It took too long.
    TimedOut,
}

impl Handshake {
    /// Every end, in declaration order.
    pub const ALL: [Self; 11] = [
        Self::Full12,
        Self::Full13,
        Self::Resumed12,
        Self::Resumed13,
        Self::NoCertificate,
        Self::NotTls,
        Self::ClientCertificate,
        Self::Protocol,
        Self::Alert,
        Self::Closed,
        Self::TimedOut,
    ];

    /// The stable word for metrics.
    pub const fn result(self) -> &'static str {
        match self {
            Self::Full12 | Self::Full13 => "full",
            Self::Resumed12 | Self::Resumed13 => "resumed",
            Self::NoCertificate => "no_certificate",
            Self::NotTls => "not_tls",
            Self::ClientCertificate => "client_certificate",
            Self::Protocol => "protocol",
            Self::Alert => "alert",
            Self::Closed => "closed",
            Self::TimedOut => "timed_out",
        }
    }

    /// The version of TLS that was agreed on.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Full12 | Self::Resumed12 => "1.2",
            Self::Full13 | Self::Resumed13 => "1.3",
            _ => "none",
        }
    }
}
