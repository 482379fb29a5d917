//! What the launcher is told of the application that the server belongs to.

/// Names, and what the server is set to beyond what every server of ours is.
#[derive(Clone, Copy, Debug)]
pub struct Application {
    /// Name of the server's superuser, of its one database and of the cluster. Folders for a
    /// socket that cannot be in the data directory begin with it.
    pub name: &'static str,
    /// The server's folder in the data directory. The lock beside it has `.lock` behind that.
    pub folder: &'static str,
    /// The settings file in the data, which is written anew at every start.
    pub settings_file: &'static str,
    /// Lines of that file, of servers that keep their data and of others.
    pub settings: &'static str,
    /// Variables that the server gets, unless we have them ourselves.
    pub environment: &'static [(&'static str, &'static str)],
    /// The variable that names the folder of the server programs, where the user wants others
    /// than those that are found.
    pub programs_variable: &'static str,
    /// The oldest major version that the application works with.
    pub version_min: u32,
}

impl Application {
    pub(crate) fn lock_file(&self) -> String {
        format!("{}.lock", self.folder)
    }
}

#[cfg(test)]
pub(crate) const ORCHARD: Application = Application {
    name: "orchard",
    folder: "trees",
    settings_file: "apples.conf",
    settings: "work_mem = 5MB\n",
    environment: &[],
    programs_variable: "ORCHARD_PROGRAMS",
    version_min: 15,
};
