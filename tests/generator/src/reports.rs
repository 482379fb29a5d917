//! The rows of the six report kinds.
//!
//! A pod, a volume or a machine is a number, from which its names and labels
//! follow. In each hour they come in an order of that hour's own, as the operator
//! writes them.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::Upload;
use crate::cluster::{Cluster, What};

/// A report kind, in the order in which a payload has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pod,
    Storage,
    Machine,
    Node,
    Namespace,
    Gpu,
}

impl Kind {
    pub const ALL: [Kind; 6] = [
        Kind::Pod,
        Kind::Storage,
        Kind::Machine,
        Kind::Node,
        Kind::Namespace,
        Kind::Gpu,
    ];

    /// As file names have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pod => "pod",
            Kind::Storage => "storage",
            Kind::Machine => "vm",
            Kind::Node => "node",
            Kind::Namespace => "namespace",
            Kind::Gpu => "nvidia-gpu",
        }
    }

    /// The columns behind the four times that every report begins with.
    fn columns(self) -> &'static str {
        match self {
            Kind::Pod => {
                "node,namespace,pod,pod_usage_cpu_core_seconds,pod_request_cpu_core_seconds,\
                 pod_limit_cpu_core_seconds,pod_usage_memory_byte_seconds,\
                 pod_request_memory_byte_seconds,pod_limit_memory_byte_seconds,\
                 node_capacity_cpu_cores,node_capacity_cpu_core_seconds,\
                 node_capacity_memory_bytes,node_capacity_memory_byte_seconds,node_role,\
                 resource_id,pod_labels"
            }
            Kind::Storage => {
                "namespace,pod,node,persistentvolumeclaim,persistentvolume,storageclass,\
                 csi_driver,csi_volume_handle,persistentvolumeclaim_capacity_bytes,\
                 persistentvolumeclaim_capacity_byte_seconds,volume_request_storage_byte_seconds,\
                 persistentvolumeclaim_usage_byte_seconds,persistentvolume_labels,\
                 persistentvolumeclaim_labels"
            }
            Kind::Machine => {
                "node,resource_id,namespace,vm_name,vm_instance_type,vm_os,vm_guest_os_arch,\
                 vm_guest_os_name,vm_guest_os_version,vm_uptime_total_seconds,vm_cpu_limit_cores,\
                 vm_cpu_limit_core_seconds,vm_cpu_request_cores,vm_cpu_request_core_seconds,\
                 vm_cpu_request_sockets,vm_cpu_request_socket_seconds,vm_cpu_request_threads,\
                 vm_cpu_request_thread_seconds,vm_cpu_usage_total_seconds,vm_memory_limit_bytes,\
                 vm_memory_limit_byte_seconds,vm_memory_request_bytes,\
                 vm_memory_request_byte_seconds,vm_memory_usage_byte_seconds,vm_device,\
                 vm_volume_mode,vm_persistentvolumeclaim_name,vm_disk_allocated_size_byte_seconds,\
                 vm_labels"
            }
            Kind::Node => "node,node_labels",
            Kind::Namespace => "namespace,namespace_labels",
            Kind::Gpu => {
                "node,namespace,pod,gpu_uuid,gpu_model_name,gpu_vendor_name,\
                 gpu_memory_capacity_mib,gpu_pod_uptime,gpu_pod_utilization,gpu_max_slices,\
                 mig_instance_id,mig_profile,mig_strategy"
            }
        }
    }

    /// How many there are in an hour.
    fn objects(self, cluster: &Cluster) -> u32 {
        match self {
            Kind::Pod => cluster.pods(),
            Kind::Storage => cluster.volumes,
            Kind::Machine => cluster.virtual_machines,
            Kind::Node => cluster.nodes,
            Kind::Namespace => cluster.namespaces,
            Kind::Gpu => cluster.gpus,
        }
    }
}

const APPLICATIONS: [&str; 16] = [
    "auth",
    "billing",
    "cart",
    "catalog",
    "checkout",
    "gateway",
    "inventory",
    "ledger",
    "mailer",
    "metrics",
    "orders",
    "payments",
    "profile",
    "reports",
    "search",
    "shipping",
];
const COMPONENTS: [&str; 5] = ["api", "cache", "cron", "db", "web"];
const ENVIRONMENTS: [&str; 4] = ["dev", "prod", "qa", "stage"];
const TIERS: [&str; 3] = ["backend", "data", "frontend"];
const GIBIBYTE: u64 = 1 << 30;

/// Writes a report; returns its rows.
pub(crate) fn write_report(upload: &Upload, kind: Kind, to: &mut impl Write) -> io::Result<u64> {
    let cluster = &upload.cluster;
    writeln!(
        to,
        "report_period_start,report_period_end,interval_start,interval_end,{}",
        kind.columns()
    )?;
    let objects = kind.objects(cluster);
    let mut rows = 0;
    let mut line = String::with_capacity(1 << 10);
    for hour in upload.hours.clone() {
        let times = format!(
            "2026-{month:02}-01 00:00:00 +0000 UTC,2026-{next:02}-01 00:00:00 +0000 UTC,\
             {this}:00:00 +0000 UTC,{this}:59:59 +0000 UTC,",
            month = upload.month,
            next = upload.month + 1,
            this = upload.hour(hour, ' '),
        );
        // In October nothing but the day and the hour counts.
        let months_away = upload.month.abs_diff(10);
        let at = u64::from((months_away * 31 + upload.day) * 24 + hour);
        for place in 0..objects {
            line.clear();
            line.push_str(&times);
            let object = shuffled(place, objects, at);
            // Writing to a String does not fail.
            let _ = match kind {
                Kind::Pod => pod_row(cluster, object, at, &mut line),
                Kind::Storage => storage_row(cluster, object, at, &mut line),
                Kind::Machine => machine_row(cluster, object, at, &mut line),
                Kind::Node => node_row(cluster, object, at, &mut line),
                Kind::Namespace => namespace_row(cluster, object, at, &mut line),
                Kind::Gpu => gpu_row(cluster, object, at, &mut line),
            };
            line.push('\n');
            to.write_all(line.as_bytes())?;
            rows += 1;
        }
    }
    Ok(rows)
}

/// Every object once, in an order of the hour's own: steps of a length that has no
/// factor in common with their number go round all of them.
fn shuffled(place: u32, objects: u32, hour: u64) -> u32 {
    let mut step = objects / 2 + 1 + (hour as u32 * 7) % objects.max(1);
    while common_factor(step, objects) != 1 {
        step += 1;
    }
    let number = (u64::from(place) * u64::from(step) + hour * 31) % u64::from(objects);
    number as u32
}

fn common_factor(mut left: u32, mut right: u32) -> u32 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

/// How many pods a workload has, on average: they share all of their labels.
const REPLICAS: u32 = 5;

/// A pod, as far as other reports speak of it.
struct Pod {
    node: u32,
    namespace: u32,
    application: &'static str,
    component: &'static str,
    /// The seeds of its workload and of itself.
    workload: u64,
    chance: u64,
    hour: u64,
}

impl Pod {
    fn of(cluster: &Cluster, place: u32, hour: u64) -> Pod {
        let stays = cluster.chance(What::Pod, u64::from(place));
        // One place in ten sees another pod every few hours.
        let turn = if stays.is_multiple_of(10) {
            1 + hour / 3
        } else {
            0
        };
        let workloads = (cluster.pods() / REPLICAS).max(1);
        let number = (stays >> 16) as u32 % workloads;
        let workload = cluster.chance(What::Workload, u64::from(number));
        let namespace = workload as u32 % cluster.namespaces;
        Pod {
            node: place / cluster.pods_of_node,
            namespace,
            application: pick(&APPLICATIONS, u64::from(namespace)),
            component: pick(&COMPONENTS, workload >> 40),
            workload,
            chance: cluster.chance(What::Pod, u64::from(place) << 16 | turn),
            hour,
        }
    }

    /// The number in the name of the replica set.
    fn hash(&self) -> u64 {
        self.workload >> 20 & 0xf_ffff_ffff
    }

    fn name(&self, to: &mut String) -> std::fmt::Result {
        write!(
            to,
            "{}-{}-{:09x}-{:05x}",
            self.application,
            self.component,
            self.hash(),
            self.chance >> 24 & 0xf_ffff
        )
    }

    /// One workload in twelve has none.
    fn labels(&self, cluster: &Cluster, to: &mut String) -> std::fmt::Result {
        if self.workload.is_multiple_of(12) {
            return Ok(());
        }
        write!(
            to,
            "label_app:{app}|label_app_kubernetes_io_component:{component}|\
             label_app_kubernetes_io_instance:",
            app = self.application,
            component = self.component,
        )?;
        namespace(cluster, self.namespace, to)?;
        write!(
            to,
            "-{component}|label_app_kubernetes_io_managed_by:Helm|label_environment:{environment}|\
             label_pod_template_hash:{hash:09x}|label_tier:{tier}|label_version:v{version}.{minor}",
            component = self.component,
            environment = pick(&ENVIRONMENTS, u64::from(self.namespace) / 16),
            hash = self.hash(),
            tier = pick(&TIERS, self.workload >> 5),
            version = self.workload >> 8 & 3,
            minor = self.workload >> 12 & 3,
        )?;
        // The version is the last of them.
        match cluster.relabels {
            true => write!(to, ".{}", self.hour),
            false => Ok(()),
        }
    }
}

fn pod_row(cluster: &Cluster, place: u32, hour: u64, to: &mut String) -> std::fmt::Result {
    let pod = Pod::of(cluster, place, hour);
    // Some wait for a node in the first hour: nothing of a node is known of them.
    let waits = place % 500 == 7 && hour.is_multiple_of(24);
    if !waits {
        node(pod.node, to)?;
    }
    to.push(',');
    namespace(cluster, pod.namespace, to)?;
    to.push(',');
    pod.name(to)?;
    let now = cluster.chance(What::PodHour, u64::from(place) << 20 | hour);
    let request = 36 * (1 + pod.chance % 64);
    let usage = now % (request * 1_200_000);
    write!(
        to,
        ",{}.{:06},{request}.000000",
        usage / 1_000_000,
        usage % 1_000_000
    )?;
    // One in four has no limits.
    let limited = pod.chance >> 3 & 3 != 0;
    match limited {
        true => write!(to, ",{}.000000", request * 2)?,
        false => to.push(','),
    }
    let memory = GIBIBYTE / 8 * (1 + (pod.chance >> 16) % 32) * 3600;
    let used = memory / 1000 * ((now >> 32) % 1000);
    write!(to, ",{used}.000000,{memory}.000000")?;
    match limited {
        true => write!(to, ",{}.000000", memory * 2)?,
        false => to.push(','),
    }
    if waits {
        to.push_str(",,,,,,,");
        return pod.labels(cluster, to);
    }
    let (cores, bytes) = capacity(cluster, pod.node);
    write!(
        to,
        ",{cores}.000000,{}.000000,{bytes}.000000,{}.000000,{},",
        cores * 3600,
        bytes * 3600,
        role(pod.node)
    )?;
    resource_id(cluster, pod.node, to)?;
    to.push(',');
    pod.labels(cluster, to)
}

fn storage_row(cluster: &Cluster, volume: u32, hour: u64, to: &mut String) -> std::fmt::Result {
    let chance = cluster.chance(What::Volume, u64::from(volume));
    // A volume is mounted by a pod that stays.
    let place = (0..)
        .map(|step| (chance as u32 / 7).wrapping_add(step) % cluster.pods())
        .find(|place| {
            !cluster
                .chance(What::Pod, u64::from(*place))
                .is_multiple_of(10)
        })
        .unwrap_or_default();
    let pod = Pod::of(cluster, place, hour);
    let bytes = GIBIBYTE * 10 * (1 + chance % 20);
    let used =
        bytes / 1000 * (cluster.chance(What::VolumeHour, u64::from(volume) << 20 | hour) % 1000);
    // Some volumes are claimed by nobody.
    if chance % 50 == 3 {
        write!(
            to,
            ",,,,pvc-{:08x}-{:012x},fast,ebs.csi.aws.com,vol-{:017x},{bytes}.000000,,,,",
            chance >> 32,
            chance & 0xffff_ffff_ffff,
            chance
        )?;
        return write!(to, "label_storage_tier:gold,");
    }
    namespace(cluster, pod.namespace, to)?;
    to.push(',');
    pod.name(to)?;
    to.push(',');
    node(pod.node, to)?;
    write!(
        to,
        ",{app}-data-{volume},pvc-{high:08x}-{low:012x},{class},{class}.csi.example.com,\
         vol-{chance:017x},{bytes}.000000,{seconds}.000000,{seconds}.000000,{used}.000000,\
         label_storage_tier:{tier},label_app:{app}|label_environment:{environment}",
        app = pod.application,
        high = chance >> 32,
        low = chance & 0xffff_ffff_ffff,
        class = pick(&["fast", "nfs", "standard"], chance >> 9),
        seconds = bytes * 3600,
        used = used * 3600,
        tier = pick(&["bronze", "gold", "silver"], chance >> 11),
        environment = pick(&ENVIRONMENTS, chance >> 13),
    )?;
    relabelled(cluster, hour, to)
}

fn machine_row(cluster: &Cluster, machine: u32, hour: u64, to: &mut String) -> std::fmt::Result {
    let chance = cluster.chance(What::Machine, u64::from(machine));
    let now = cluster.chance(What::MachineHour, u64::from(machine) << 20 | hour);
    let on = chance as u32 / 3 % cluster.nodes;
    node(on, to)?;
    to.push(',');
    resource_id(cluster, on, to)?;
    to.push(',');
    namespace(cluster, (chance >> 16) as u32 % cluster.namespaces, to)?;
    let (cores, gibibytes) = (1 + chance % 8, 2 << (chance >> 5 & 3));
    let bytes = GIBIBYTE * gibibytes;
    write!(
        to,
        ",vm-{machine},o1.medium,rhel.9,amd64,Red Hat Enterprise Linux,9.4,3600.000000,\
         {cores}.000000,{core_seconds}.000000,{cores}.000000,{core_seconds}.000000,\
         1.000000,3600.000000,1.000000,3600.000000,{used}.{part:06},\
         {bytes}.000000,{byte_seconds}.000000,{bytes}.000000,{byte_seconds}.000000,{memory}.000000,",
        core_seconds = cores * 3600,
        used = now % (cores * 3600),
        part = now >> 40 & 0x7_ffff,
        byte_seconds = bytes * 3600,
        memory = bytes / 1000 * (now >> 20 & 0x1ff) * 3600,
    )?;
    // Not every machine has a disk.
    match chance % 4 {
        0 => to.push_str(",,,,"),
        _ => write!(
            to,
            "vda,Block,vm-{machine}-disk,{}.000000,",
            GIBIBYTE * 40 * 3600
        )?,
    }
    write!(
        to,
        "label_app:{app}|label_environment:{environment}|label_vm_kubevirt_io_name:vm-{machine}",
        app = pick(&APPLICATIONS, chance >> 7),
        environment = pick(&ENVIRONMENTS, chance >> 13),
    )?;
    relabelled(cluster, hour, to)
}

fn node_row(cluster: &Cluster, number: u32, hour: u64, to: &mut String) -> std::fmt::Result {
    node(number, to)?;
    write!(
        to,
        ",label_environment:shared|label_kubernetes_io_arch:amd64|label_kubernetes_io_hostname:"
    )?;
    node(number, to)?;
    write!(
        to,
        "|label_kubernetes_io_os:linux|label_node_kubernetes_io_instance_type:m8.big|\
         label_node_role_kubernetes_io:{}|label_topology_kubernetes_io_zone:zone-{}",
        role(number),
        pick(
            &["a", "b", "c"],
            cluster.chance(What::Node, u64::from(number)) >> 4
        ),
    )?;
    relabelled(cluster, hour, to)
}

fn namespace_row(cluster: &Cluster, number: u32, hour: u64, to: &mut String) -> std::fmt::Result {
    namespace(cluster, number, to)?;
    to.push_str(",label_kubernetes_io_metadata_name:");
    namespace(cluster, number, to)?;
    write!(
        to,
        "|label_cost_center:cc{}|label_owner:team-{}",
        100 + number % 40,
        pick(&["gold", "green", "red", "sky"], u64::from(number) / 3),
    )?;
    relabelled(cluster, hour, to)
}

/// One label more, of the hour, where label sets change.
fn relabelled(cluster: &Cluster, hour: u64, to: &mut String) -> std::fmt::Result {
    match cluster.relabels {
        true => write!(to, "|label_version:h{hour}"),
        false => Ok(()),
    }
}

fn gpu_row(cluster: &Cluster, gpu: u32, hour: u64, to: &mut String) -> std::fmt::Result {
    let chance = cluster.chance(What::Gpu, u64::from(gpu));
    let pod = Pod::of(cluster, chance as u32 / 5 % cluster.pods(), hour);
    node(pod.node, to)?;
    to.push(',');
    namespace(cluster, pod.namespace, to)?;
    to.push(',');
    pod.name(to)?;
    write!(
        to,
        ",GPU-{high:08x}-{low:012x},H100,nvidia0,81920,3600.000000,{busy}.000000,7,",
        high = chance >> 32,
        low = chance & 0xffff_ffff_ffff,
        busy = chance % 100,
    )?;
    match chance % 2 {
        0 => write!(to, "{},3g.20gb,mixed", 1 + chance % 7),
        _ => write!(to, ",,"),
    }
}

fn node(number: u32, to: &mut String) -> std::fmt::Result {
    write!(
        to,
        "ip-10-0-{}-{}.{}-{number}.example.internal",
        number / 250,
        number % 250,
        role(number)
    )
}

/// Three masters, some nodes for infrastructure, and workers.
fn role(node: u32) -> &'static str {
    match node {
        0..3 => "master",
        3.. if node % 50 == 3 => "infra",
        _ => "worker",
    }
}

/// Cores and bytes.
fn capacity(cluster: &Cluster, node: u32) -> (u64, u64) {
    let chance = cluster.chance(What::Node, u64::from(node));
    (16 << (chance & 1), GIBIBYTE * (64 << (chance >> 1 & 1)))
}

fn resource_id(cluster: &Cluster, node: u32, to: &mut String) -> std::fmt::Result {
    write!(to, "i-{:017x}", cluster.chance(What::Node, u64::from(node)))
}

fn namespace(cluster: &Cluster, number: u32, to: &mut String) -> std::fmt::Result {
    let application = pick(&APPLICATIONS, u64::from(number));
    let environment = pick(&ENVIRONMENTS, u64::from(number) / 16);
    // A few belong to the cluster itself.
    match cluster.chance(What::Namespace, u64::from(number)) % 20 {
        0 => write!(to, "openshift-{application}-{number}"),
        _ => write!(to, "{application}-{environment}-{number}"),
    }
}

fn pick<'t>(from: &[&'t str], number: u64) -> &'t str {
    from[(number % from.len() as u64) as usize]
}
