//! The parts of a cluster, and chance that can be repeated.

/// A cluster, as large as its numbers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Clusters with other seeds are other clusters.
    pub seed: u32,
    pub nodes: u32,
    pub pods_of_node: u32,
    pub namespaces: u32,
    /// Claims on volumes.
    pub volumes: u32,
    pub virtual_machines: u32,
    pub gpus: u32,
    /// Every label set is another one in every hour.
    pub relabels: bool,
}

/// Sizes that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 2,400 pod rows a day.
    Small,
    /// 24,000 pod rows a day.
    Medium,
    /// 120,000 pod rows a day.
    Large,
    /// 1,200,000 pod rows a day.
    ThousandNodes,
}

impl Cluster {
    pub fn of(size: Size) -> Cluster {
        match size {
            Size::Small => Cluster::of_nodes(10, 10),
            Size::Medium => Cluster::of_nodes(40, 25),
            Size::Large => Cluster::of_nodes(100, 50),
            Size::ThousandNodes => Cluster::of_nodes(1_000, 50),
        }
    }

    /// A cluster of so many nodes, and of all else in proportion.
    pub fn of_nodes(nodes: u32, pods_of_node: u32) -> Cluster {
        let pods = nodes * pods_of_node;
        Cluster {
            seed: 1,
            nodes,
            pods_of_node,
            namespaces: (pods / 25).max(4),
            volumes: (pods / 10).max(4),
            virtual_machines: (pods / 100).max(2),
            gpus: (nodes / 10).max(2),
            relabels: false,
        }
    }

    /// The name under which sources know it.
    pub fn id(&self) -> String {
        format!("generated-{}-{}", self.seed, self.nodes)
    }

    pub(crate) fn pods(&self) -> u32 {
        self.nodes * self.pods_of_node
    }

    /// A number that depends on what is asked about, and on nothing else.
    pub(crate) fn chance(&self, what: What, of: u64) -> u64 {
        let mut mixed = u64::from(self.seed) << 8 | what as u64;
        mixed = mix(mixed).wrapping_add(of);
        mix(mixed)
    }
}

/// The use of a drawn number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Node,
    Namespace,
    Workload,
    Pod,
    PodHour,
    Volume,
    VolumeHour,
    Machine,
    MachineHour,
    Gpu,
}

/// SplitMix64: neighbours have nothing in common.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
