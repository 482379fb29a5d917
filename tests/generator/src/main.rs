//! Writes the payload of a cluster's day: `gristmill-generator FILE NODES PODS_OF_NODE`.

use std::path::Path;
use std::process::ExitCode;

use gristmill_generator::{Cluster, Upload};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u32> = arguments
        .iter()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let ([path, _, _], [nodes, pods_of_node]) = (&arguments[..], &numbers[..]) else {
        return ExitCode::from(2);
    };
    let upload = Upload::of_day(Cluster::of_nodes((*nodes).max(1), (*pods_of_node).max(1)));
    match upload.write_tarball(Path::new(path)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
