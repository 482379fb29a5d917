-- Values that were lost when a key was disabled and enabled again come back: all of
-- them are made anew once.

INSERT INTO gristmill_tag_key (key, values_state)
SELECT pod.key, 'doubtful'
FROM reporting_ocpusagepodlabel_summary AS pod
UNION
SELECT volume.key, 'doubtful'
FROM reporting_ocpstoragevolumelabel_summary AS volume
UNION
SELECT known.key, 'doubtful'
FROM reporting_ocptags_values AS known;
