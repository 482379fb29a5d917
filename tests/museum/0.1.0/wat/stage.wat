;; Doubles `usage` in place and rejects rows with a negative one, without any
;; toolchain below it: the canonical ABI of the contract, written by hand.
;;
;; Memory: texts from 0, what functions return at 1024, and from 4096 on what the
;; host hands in, forgotten after each call.
(module
  (import "[export]gristmill:stage/transform@0.1.0" "[resource-new]stage"
    (func $new_stage (param i32) (result i32)))

  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 4096))

  (data (i32.const 0) "usage")
  (data (i32.const 16) "negative")
  (data (i32.const 32) "is below zero")
  (data (i32.const 48) "museum")
  (data (i32.const 64) "wat")
  ;; The field `usage`, float64: name, length, type.
  (data (i32.const 80) "\00\00\00\00\05\00\00\00\02\00\00\00")
  ;; The fact: topic and length, words and count; then its one word.
  (data (i32.const 96) "\30\00\00\00\06\00\00\00\70\00\00\00\01\00\00\00")
  (data (i32.const 112) "\40\00\00\00\03\00\00\00")

  ;; Room for so many bytes; nothing is ever given back alone.
  (func $room (export "cabi_realloc")
    (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $start i32)
    (local.set $start
      (i32.and
        (i32.sub (i32.add (global.get $next) (local.get $align)) (i32.const 1))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $start) (local.get $size)))
    (block $enough
      (loop $grow
        (br_if $enough
          (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        (br $grow)))
    (local.get $start))

  (func $forget (param i32)
    (global.set $next (i32.const 4096)))
  (export "cabi_post_gristmill:stage/transform@0.1.0#[static]stage.open" (func $forget))
  (export "cabi_post_gristmill:stage/transform@0.1.0#[method]stage.contract" (func $forget))
  (export "cabi_post_gristmill:stage/transform@0.1.0#[method]stage.process" (func $forget))
  (export "cabi_post_gristmill:stage/transform@0.1.0#[method]stage.finish" (func $forget))

  ;; ok(a new stage), whatever the configuration, sets and schema
  (func (export "gristmill:stage/transform@0.1.0#[static]stage.open")
    (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1032) (call $new_stage (i32.const 1)))
    (i32.const 1024))

  ;; reads `usage`, writes `usage`, drops nothing, keeps every row
  (func (export "gristmill:stage/transform@0.1.0#[method]stage.contract")
    (param $self i32) (result i32)
    (i32.store (i32.const 1024) (i32.const 80))
    (i32.store (i32.const 1028) (i32.const 1))
    (i32.store (i32.const 1032) (i32.const 80))
    (i32.store (i32.const 1036) (i32.const 1))
    (i32.store (i32.const 1040) (i32.const 0))
    (i32.store (i32.const 1044) (i32.const 0))
    (i32.store8 (i32.const 1048) (i32.const 0))
    (i32.const 1024))

  (func (export "gristmill:stage/transform@0.1.0#[method]stage.process")
    (param $self i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
    (local $value i32) (local $row i32) (local $rejects i32) (local $reject i32)
    (local.set $rejects
      (call $room (i32.const 0) (i32.const 0) (i32.const 4)
        (i32.mul (local.get $rows) (i32.const 32))))
    (local.set $reject (local.get $rejects))
    (local.set $value (i32.load offset=16 (local.get $columns)))
    (block $done
      (loop $each
        (br_if $done (i32.eq (local.get $row) (local.get $rows)))
        (if (f64.lt (f64.load (local.get $value)) (f64.const 0))
          (then
            (i32.store (local.get $reject) (local.get $row))
            ;; some("usage"), "negative", "is below zero"
            (i32.store offset=4 (local.get $reject) (i32.const 1))
            (i32.store offset=8 (local.get $reject) (i32.const 0))
            (i32.store offset=12 (local.get $reject) (i32.const 5))
            (i32.store offset=16 (local.get $reject) (i32.const 16))
            (i32.store offset=20 (local.get $reject) (i32.const 8))
            (i32.store offset=24 (local.get $reject) (i32.const 32))
            (i32.store offset=28 (local.get $reject) (i32.const 13))
            (local.set $reject (i32.add (local.get $reject) (i32.const 32)))))
        (f64.store (local.get $value)
          (f64.mul (f64.load (local.get $value)) (f64.const 2)))
        (local.set $value (i32.add (local.get $value) (i32.const 8)))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $each)))
    ;; ok(rows, the columns that came in, no source rows, none left out, rejects)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1032) (local.get $rows))
    (i32.store (i32.const 1036) (local.get $columns))
    (i32.store (i32.const 1040) (local.get $count))
    (i32.store8 (i32.const 1044) (i32.const 0))
    (i32.store (i32.const 1056) (i32.const 0))
    (i32.store (i32.const 1060) (local.get $rejects))
    (i32.store (i32.const 1064)
      (i32.div_u (i32.sub (local.get $reject) (local.get $rejects)) (i32.const 32)))
    (i32.const 1024))

  ;; ok(the fact)
  (func (export "gristmill:stage/transform@0.1.0#[method]stage.finish")
    (param $self i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1032) (i32.const 96))
    (i32.store (i32.const 1036) (i32.const 1))
    (i32.const 1024)))
