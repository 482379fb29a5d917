//! What each planner setting of a function is worth: the function without it against the
//! function with it, on the last of some days of one month that nobody has counted.

use anyhow::{Context, Result, bail};
use gristmill_generator::{Cluster, Upload};

use crate::program::Program;
use crate::server::Server;
use crate::timing::{Pair, Samples};
use crate::{Line, Options};

/// Days of the month that are there; the last is measured.
const DAYS: u32 = 9;

/// Where a function without its setting is given up.
const SECONDS_MAX: f64 = 20.0;

/// Functions that have settings: what makes a case for it, and how it is called then.
const CASES: [Case; 10] = [
    Case {
        function: "add_tags_values",
        given: "TRUNCATE reporting_ocptags_values",
        call: "add_tags_values((SELECT id FROM reporting_ocpusagereportperiod), [keys])",
    },
    Case {
        function: "apply_tag_mapping",
        given: "
            INSERT INTO reporting_tagmapping (parent_id, child_id)
            SELECT parent.uuid, child.uuid
            FROM reporting_enabledtagkeys AS parent
            CROSS JOIN reporting_enabledtagkeys AS child
            WHERE parent.key = 'app' AND child.key IN ('tier', 'version')",
        call: "apply_tag_mapping('{[day]}', [source])",
    },
    Case {
        function: "claims_of_virtual_machines",
        // Machines that no report is on: one pod of four.
        given: "
            DELETE FROM reporting_ocpusagelineitem_vm_staging;
            INSERT INTO gristmill_label_set (id, labels)
            SELECT number, jsonb_build_object('vm_kubevirt_io_name', number)
            FROM generate_series(1, 20) AS number;
            UPDATE reporting_ocpusagelineitem_pod_staging
            SET pod_labels_id = 1 + abs(hashtext(pod)) % 20
            WHERE generation = [generation] AND hashtext(pod) % 4 = 0",
        call: "claims_of_virtual_machines('[day]', ARRAY[[generation]])",
    },
    Case {
        function: "collect_daily_pods",
        given: "SELECT make_daily_tables()",
        call: "collect_daily_pods('[day]', ARRAY[[generation]])",
    },
    Case {
        function: "collect_daily_volumes",
        given: "SELECT make_daily_tables()",
        call: "collect_daily_volumes('[day]', ARRAY[[generation]])",
    },
    Case {
        function: "engines_of_day",
        given: "",
        call: "engines_of_day('[day]', ARRAY[[generation]])",
    },
    Case {
        function: "insert_unallocated_rows",
        given: "
            DELETE FROM reporting_ocpusagelineitem_daily_summary
            WHERE usage_start = '[day]' AND namespace LIKE '%unallocated'",
        call: "insert_unallocated_rows(
            '[day]', (SELECT id FROM reporting_ocpusagereportperiod), 'bench', 'bench', [source]
        )",
    },
    Case {
        function: "node_capacities_of_day",
        given: "",
        call: "node_capacities_of_day('[day]', ARRAY[[generation]])",
    },
    Case {
        function: "remove_orphaned_rows",
        given: "",
        call: "remove_orphaned_rows('reporting_ocpusagelineitem_pod_staging_2026_10', true)",
    },
    Case {
        function: "remove_repeated_rows",
        // The last hours of the day come once more, in an upload that adds to it.
        given: "
            UPDATE reporting_common_costusagereportmanifest SET is_additive = true;
            INSERT INTO reporting_common_costusagereportmanifest (
                id, assembly_id, provider_id, billing_period_start_datetime, num_total_files,
                coverage_report, completed_datetime, is_additive, manifest_date
            )
            SELECT 0, 'again', [source], '2026-10-01Z', 1, 'pod-usage', now(), true, 'infinity';
            INSERT INTO gristmill_generation (id, manifest_id, run_id, source_uuid, state)
                OVERRIDING SYSTEM VALUE
            SELECT 0, 0, run_id, source_uuid, state FROM gristmill_generation WHERE id = [generation];
            INSERT INTO gristmill_coverage (generation, report, interval_start, rows)
            SELECT 0, report, interval_start, rows
            FROM gristmill_coverage
            WHERE generation = [generation] AND extract(hour FROM interval_start) >= 20;
            INSERT INTO gristmill_day_manifest (source_uuid, usage_day, manifest_id)
            VALUES ([source], '[day]', 0);
            CREATE TEMPORARY TABLE again AS
            SELECT * FROM reporting_ocpusagelineitem_pod_staging
            WHERE generation = [generation] AND extract(hour FROM interval_start) >= 20;
            UPDATE again SET generation = 0;
            INSERT INTO reporting_ocpusagelineitem_pod_staging SELECT * FROM again",
        call: "remove_repeated_rows(0)",
    },
];

struct Case {
    function: &'static str,
    given: &'static str,
    call: &'static str,
}

/// As a summary finds the tables, whatever the server does by itself.
const UNCOUNTED: &str = "
    DO $$
    DECLARE
        grown regclass;
    BEGIN
        FOR grown IN
            SELECT oid
            FROM pg_class
            WHERE
                relnamespace = current_schema()::regnamespace
                AND relkind = 'r'
                AND relname LIKE 'reporting%_2026_10'
        LOOP
            EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', grown);
        END LOOP;
    END
    $$";

/// The days before are indexed; the server would do it by itself in a minute or so.
const INDEXED: &str = "
    SELECT count(brin_summarize_new_values(index.oid))
    FROM pg_class AS index
    JOIN pg_am ON pg_am.oid = index.relam AND amname = 'brin'
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'i'";

const SETTINGS: &str = "
    SELECT proname || ' ' || split_part(setting, '=', 1)
    FROM pg_proc
    CROSS JOIN unnest(proconfig) AS kept (setting)
    WHERE pronamespace = current_schema()::regnamespace AND setting LIKE 'enable\\_%'
    ORDER BY 1";

pub(crate) fn lines(
    options: &Options,
    server: &Server,
    program: &Program<'_>,
) -> Result<Vec<Line>> {
    let schema = program.new_schema(server)?;
    server.psql(&schema, &["SELECT ensure_month('2026-10-01')", UNCOUNTED])?;
    let nodes = (options.largest.nodes / 10).max(1);
    let cluster = Cluster::of_nodes(nodes, options.largest.pods_of_node);
    for day in 1..=DAYS {
        let upload = Upload {
            day,
            number: day,
            ..Upload::of_day(cluster.clone())
        };
        let path = server.folder().join(format!("day-{day}.tar.gz"));
        upload.write_tarball(&path)?;
        server.psql(&schema, &[INDEXED])?;
        program.run(&path, &schema, &program.cache())?;
    }
    let settings = server.psql(&schema, &[SETTINGS])?;
    let lines = settings.lines().map(|setting| {
        let (function, setting) = setting.split_once(' ').context("a function")?;
        line(options, server, &schema, function, setting)
    });
    lines.collect()
}

fn line(
    options: &Options,
    server: &Server,
    schema: &str,
    function: &str,
    setting: &str,
) -> Result<Line> {
    let Some(case) = CASES.iter().find(|case| case.function == function) else {
        bail!("`{setting}` of `{function}` is not measured: give it a case in `settings.rs`");
    };
    let (mut with, mut without) = (Samples::default(), Samples::default());
    for _ in 0..options.repetitions {
        with.push(case.seconds(server, schema, "")?);
        let reset = format!("ALTER FUNCTION {function} RESET {setting}");
        without.push(case.seconds(server, schema, &reset)?);
    }
    let pair = Pair {
        left: &without,
        right: &with,
    };
    let limited = match without.best() < SECONDS_MAX {
        true => "",
        false => ", where it was given up",
    };
    Ok(Line {
        what: format!("7 {function} without {setting}"),
        value: format!("{:.2}", pair.ratio()),
        noise: format!("{:.2}", pair.noise()),
        target: "",
        detail: format!(
            "{:.1} ms against {:.1} ms{limited}",
            without.best() * 1e3,
            with.best() * 1e3
        ),
    })
}

impl Case {
    /// Calls the function in a transaction that leaves nothing behind.
    fn seconds(&self, server: &Server, schema: &str, change: &str) -> Result<f64> {
        let keys: Vec<String> = crate::ENABLED_KEYS.map(|key| format!("'{key}'")).to_vec();
        let filled = |sql: &str| {
            sql.replace("[day]", &format!("2026-10-{DAYS:02}"))
                .replace("[keys]", &format!("ARRAY[{}]", keys.join(", ")))
                .replace("[source]", "(SELECT source_uuid FROM gristmill_source)")
                .replace("[generation]", "(SELECT max(id) FROM gristmill_generation)")
        };
        let found = server.psql(
            schema,
            &[
                // As the functions that call these have it.
                "SET work_mem = '128MB'; SET plan_cache_mode = force_custom_plan; SET jit = off",
                &format!("SET statement_timeout = '{SECONDS_MAX} s'"),
                "BEGIN",
                change,
                &filled(self.given),
                "CREATE TEMPORARY TABLE began AS SELECT clock_timestamp() AS moment",
                &format!("SELECT count(*) FROM {} AS called", filled(self.call)),
                "SELECT extract(epoch FROM clock_timestamp() - moment) FROM began",
                "ROLLBACK",
            ],
        );
        match found {
            Ok(found) => Ok(found.lines().last().context("a time")?.parse()?),
            Err(error) if error.to_string().contains("statement timeout") => Ok(SECONDS_MAX),
            Err(error) => Err(error),
        }
    }
}
