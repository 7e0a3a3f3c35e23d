#!/usr/bin/env bash
# Makes the studies of tuning.md, or goes on with them: ./run.sh [lambda|faces|compare …], in the folder that holds
# data/music and data/mtfl. Both schedulers of a study have the same budget: 6 members times the epochs of a trial.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

lambda() {
  descant tune "$here/lambda.yaml" data=data/music run.name=lambda-asha \
    tune.search=tpe 'tune.scheduler={name: asha, grace_epochs: 5, factor: 2}' tune.budget_epochs=240
  descant tune "$here/lambda.yaml" data=data/music run.name=lambda-pbt \
    'tune.scheduler={name: pbt, every_epochs: 5}' tune.trials=6
}

faces() {
  descant tune "$here/face_weights.yaml" data=data/mtfl run.name=faces-asha \
    tune.search=tpe 'tune.scheduler={name: asha, grace_epochs: 2, factor: 2}' tune.budget_epochs=72
  descant tune "$here/face_weights.yaml" data=data/mtfl run.name=faces-pbt \
    'tune.scheduler={name: pbt, every_epochs: 2}' tune.trials=6
}

compare() { # the best of each beside what was not searched, on the test split, with seeds of their own
  descant compare --arms "recipe=$here/lambda.yaml,runs/lambda-asha/best.yaml,runs/lambda-pbt/best.yaml" \
    --seeds 5 --name tuned-lambda data=data/music
  descant compare --arms "recipe=$here/face_weights.yaml,runs/faces-asha/best.yaml,runs/faces-pbt/best.yaml" \
    --seeds 5 --name tuned-faces data=data/mtfl
}

for what in "${@:-lambda faces compare}"; do
  for one in $what; do "$one"; done
done
