#!/bin/sh
# Makes the component.
set -e
componentize-py --wit-path wit --world transform-stage componentize transform --output floor_usage.wasm
