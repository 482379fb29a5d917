//! The shapes: what each of them loads, and how. What is many in a shape is so many times the
//! rest that it is what is measured.

use gristmill_generator::{Cluster, Upload};

use crate::program::Verb;

/// Days of September, August and July, of which the history is.
const MONTHS_BEFORE: [(u32, u32); 3] = [(9, 30), (8, 31), (7, 31)];

/// What one command loads.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// Loaded before; then each repetition loads the day behind that of the last one.
    pub(super) given: Vec<Upload>,
    pub(super) uploads: Vec<Upload>,
    pub(super) verb: Verb,
    pub(super) engine: &'static str,
    /// Whether its rows are copied, to compare. Some shapes are only there to be set against
    /// another one.
    pub(super) is_copied: bool,
}

/// Names that figures are made of.
pub(super) const SMALL: &str = "one small day";
pub(super) const SMALL_DAYS: &str = "30 small days";
pub(super) const SMALL_DAYS_AT_ONCE: &str = "30 small days in one payload";
pub(super) const SMALL_WATCHED: &str = "one small day, watch";
pub(super) const SMALL_DAYS_WATCHED: &str = "30 small days, watch";
pub(super) const GROWING: &str = "four growing uploads";
pub(super) const GROWN: &str = "the last of the four alone";
pub(super) const EVERYTHING: &str = "all six kinds";

impl Shape {
    /// The uploads of a repetition, counted from 0.
    pub(super) fn uploads_of(&self, repetition: u32) -> Vec<Upload> {
        let later = match self.given.is_empty() {
            true => 0,
            false => repetition,
        };
        let uploads = self.uploads.iter().cloned();
        uploads
            .map(|upload| Upload {
                day: upload.day + later,
                number: upload.number + later,
                ..upload
            })
            .collect()
    }

    fn of(name: &'static str, uploads: Vec<Upload>) -> Shape {
        Shape {
            name,
            given: Vec::new(),
            uploads,
            verb: Verb::Run,
            engine: "postgres",
            is_copied: true,
        }
    }

    fn by(self, verb: Verb) -> Shape {
        Shape { verb, ..self }
    }

    fn embedded(self, name: &'static str) -> Shape {
        Shape {
            name,
            engine: "embedded",
            ..self
        }
    }

    fn not_copied(self) -> Shape {
        Shape {
            is_copied: false,
            ..self
        }
    }
}

/// All of them, a `divisor` of what they are.
pub(super) fn shapes(divisor: u32) -> Vec<Shape> {
    let part = |count: u32| (count / divisor).max(2);
    let few = Cluster {
        seed: 1,
        nodes: part(40),
        pods_of_node: 25,
        namespaces: part(40),
        volumes: 4,
        virtual_machines: 2,
        gpus: 2,
        relabels: false,
    };
    let pods = Cluster {
        nodes: part(100),
        pods_of_node: 50,
        namespaces: part(100),
        ..few.clone()
    };
    let namespaces = Cluster {
        namespaces: part(6_000),
        ..few.clone()
    };
    let volumes = Cluster {
        volumes: part(5_000),
        ..few.clone()
    };
    let relabelling = Cluster {
        namespaces: part(200),
        volumes: part(250),
        relabels: true,
        ..pods.clone()
    };
    let machines = Cluster {
        virtual_machines: part(3_000),
        gpus: part(2_000),
        ..few.clone()
    };
    let small = Cluster::of_nodes(10, part(17));
    let growing = Cluster::of_nodes(part(100), 45);
    let everything = Cluster {
        nodes: part(500),
        pods_of_node: 20,
        namespaces: part(5_000),
        volumes: part(4_000),
        virtual_machines: part(2_000),
        gpus: part(2_250),
        ..few
    };
    let of_day = |cluster: &Cluster| vec![Upload::of_day(cluster.clone())];
    let days = (30 / divisor).max(4);
    let small_days = small_days(&small, days);
    let small_days_at_once = Upload {
        hours: 0..24 * days,
        ..Upload::of_day(small.clone())
    };
    let growing: Vec<Upload> = (1..=4)
        .map(|number| Upload {
            hours: 0..6 * number,
            number,
            ..Upload::of_day(growing.clone())
        })
        .collect();
    let grown = growing[3..].to_vec();
    let clusters = (1..=part(10)).map(|seed| {
        let cluster = Cluster::of_nodes(10, part(44));
        Upload::of_day(Cluster { seed, ..cluster })
    });
    let history = Shape {
        given: history(&pods, part(90)),
        ..Shape::of("one day into 90 days", of_day(&pods))
    };
    let pods = Shape::of("many pods", of_day(&pods));
    let volumes = Shape::of("many volumes", of_day(&volumes));
    vec![
        pods.clone(),
        pods.embedded("many pods, embedded"),
        Shape::of("many namespaces with labels", of_day(&namespaces)),
        volumes.clone(),
        volumes.embedded("many volumes, embedded"),
        Shape::of("label sets change every hour", of_day(&relabelling)),
        Shape::of("many VMs and GPUs", of_day(&machines)),
        Shape::of(EVERYTHING, of_day(&everything)),
        history,
        Shape::of("ten clusters at once", clusters.collect()).by(Verb::Watch),
        Shape::of(GROWING, growing),
        Shape::of(GROWN, grown),
        Shape::of(SMALL, of_day(&small)).not_copied(),
        Shape::of(SMALL_DAYS, small_days.clone()),
        Shape::of(SMALL_DAYS_AT_ONCE, vec![small_days_at_once]),
        Shape::of(SMALL_WATCHED, of_day(&small))
            .by(Verb::Watch)
            .not_copied(),
        Shape::of(SMALL_DAYS_WATCHED, small_days)
            .by(Verb::Watch)
            .not_copied(),
    ]
}

fn small_days(cluster: &Cluster, days: u32) -> Vec<Upload> {
    (1..=days)
        .map(|day| Upload {
            day,
            number: day,
            ..Upload::of_day(cluster.clone())
        })
        .collect()
}

/// Days up to the end of September, each of one hour: the tables of days are then as full as
/// with all hours.
fn history(cluster: &Cluster, days: u32) -> Vec<Upload> {
    let before = MONTHS_BEFORE
        .iter()
        .flat_map(|(month, last)| (1..=*last).rev().map(move |day| (*month, day)));
    let mut uploads: Vec<Upload> = before
        .take(days as usize)
        .map(|(month, day)| Upload {
            month,
            day,
            hours: 0..1,
            number: month * 31 + day,
            ..Upload::of_day(cluster.clone())
        })
        .collect();
    uploads.reverse();
    uploads
}
