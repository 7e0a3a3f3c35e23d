#!/usr/bin/env bash
# Makes the runs of convergence.md, or goes on with them: ./run.sh [key=value …], in the folder that holds data/fashion.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
descant compare --arms "recipe=$here/plain.yaml,$here/auxiliary.yaml" --seeds 5 --name convergence \
  data=data/fashion "$@"
