//! What the requests of an open loop ask for.

use std::str::FromStr;

use fastrand::Rng;

/// A mix of requests, by name: `plain`, `hog`, `exponential:MEAN`, `bimodal:MEAN` (microseconds).
#[derive(Clone, Copy)]
pub(crate) enum Mix {
    Plain,
    /// One request in a thousand blocks its worker.
    Hog,
    Exponential(f64),
    /// Nine in ten take half the mean, one takes 5.5 times the mean.
    Bimodal(f64),
}

impl FromStr for Mix {
    type Err = ();

    fn from_str(text: &str) -> Result<Mix, ()> {
        let (name, mean) = text.split_once(':').unwrap_or((text, "0"));
        let mean = mean.parse().map_err(|_| ())?;
        match name {
            "plain" => Ok(Mix::Plain),
            "hog" => Ok(Mix::Hog),
            "exponential" => Ok(Mix::Exponential(mean)),
            "bimodal" => Ok(Mix::Bimodal(mean)),
            _ => Err(()),
        }
    }
}

impl Mix {
    /// The path of the request numbered `index`, and how many microseconds it asks a worker to take.
    pub(crate) fn request(self, index: u64, random: &mut Rng) -> (String, f64) {
        match self {
            Mix::Hog if index % 1000 == 999 => ("block".to_owned(), 5_000.0),
            Mix::Plain | Mix::Hog => (String::new(), 0.0),
            Mix::Exponential(mean) => sleep(-mean * (1.0 - random.f64()).ln()),
            Mix::Bimodal(mean) if random.f64() < 0.1 => sleep(5.5 * mean),
            Mix::Bimodal(mean) => sleep(0.5 * mean),
        }
    }
}

fn sleep(micros: f64) -> (String, f64) {
    let micros = micros.round();
    (format!("sleep/{micros}"), micros)
}

/// A request over HTTP/1.1.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}
