//! What a run came to.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer as De, Serialize, Serializer as Ser};

/// What a run came to. Everything but [`Ramp`] is of the measured time alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The time before, in which the clients came.
    pub ramp: Ramp,
    /// How long was measured, in seconds.
    pub seconds: f64,
    /// Responses that came whole, with the status and the body that they should have.
    pub answered: u64,
    /// Connections that were established.
    pub connected: u64,
    /// Bytes that were received, heads included.
    pub received: u64,
    /// What else came.
    pub errors: Errors,
    /// Requests that went out again on a new connection, because the server had ended the old
    /// one at the same moment (RFC 9112, section 9.3.1).
    pub retried: u64,
    /// Requests that were due by the schedule and had not been sent at the end; 0 in a closed
    /// loop.
    pub unsent: u64,
    /// Requests that were being carried out at the end. In a closed loop for a time there is
    /// one for each client.
    pub unfinished: u64,
    /// From when a request was to be sent until its response was verified, in nanoseconds.
    pub latency: Latency,
    /// The generator itself.
    pub generator: Generator,
}

/// How the clients came.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Ramp {
    /// Until all had come, or nobody waited for them any more, in seconds.
    pub seconds: f64,
    /// Clients whose first response was verified.
    pub clients: u64,
    /// What else came meanwhile.
    pub errors: Errors,
}

/// Requests that were not answered as they should have been, by what came instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// No connection: connect(2) failed.
    pub connect: u64,
    /// The request could not be sent.
    pub send: u64,
    /// The response could not be received.
    pub receive: u64,
    /// The connection ended before the response did.
    pub ended: u64,
    /// What came is no response.
    pub garbled: u64,
    /// Another status than 200.
    pub status: u64,
    /// Another body than the one that was expected.
    pub body: u64,
    /// Nothing more came for too long.
    pub timeout: u64,
}

impl Errors {
    /// Each kind with its name.
    #[must_use]
    pub fn by_kind(&self) -> [(&'static str, u64); 8] {
        [
            ("connect", self.connect),
            ("send", self.send),
            ("receive", self.receive),
            ("ended", self.ended),
            ("garbled", self.garbled),
            ("status", self.status),
            ("body", self.body),
            ("timeout", self.timeout),
        ]
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, number)| number).sum()
    }
}

/// What the generator itself used.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Generator {
    /// Processor time in the measured time, in seconds.
    pub processor: f64,
    /// The most memory that it had resident, in KiB.
    pub peak_kib: u64,
}

impl Outcome {
    /// Requests answered in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds
    }

    /// The part of the measured time in which the generator had a processor. Near 1, it is the
    /// generator that was measured.
    #[must_use]
    pub fn busy(&self) -> f64 {
        self.generator.processor / self.seconds
    }
}

/// An HDR histogram of nanoseconds, three digits exact. In JSON it is the text that
/// hdrhistogram's tools read: V2, deflated, base64.
#[derive(Clone, Debug)]
pub struct Latency(pub Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        // Longer than an hour nothing is waited for.
        let longest = Duration::from_secs(3600).as_nanos();
        let longest = u64::try_from(longest).expect("an hour in 64 bits");
        Self(Histogram::new_with_bounds(1_000, longest, 3).expect("1 µs to an hour"))
    }
}

impl Latency {
    /// The value that a share of all requests did not exceed, 0 to 1.
    #[must_use]
    pub fn at(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }
}

impl Serialize for Latency {
    fn serialize<S: Ser>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .map_err(|error| S::Error::custom(format!("{error:?}")))?;
        to.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: De<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        Deserializer::new()
            .deserialize(&mut &bytes[..])
            .map(Self)
            .map_err(|error| D::Error::custom(format!("{error:?}")))
    }
}
