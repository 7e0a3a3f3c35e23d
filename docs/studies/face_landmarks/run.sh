#!/usr/bin/env bash
# Makes the runs of face_landmarks.md, or goes on with them: ./run.sh [key=value …], in the folder that holds data/mtfl.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
schemes=face_landmarks_auxiliary,face_landmarks_soft,face_landmarks_cross_stitch,face_landmarks_mmoe
schemes+=,face_landmarks_ple,face_landmarks_mtan,face_landmarks_adapters
auxiliaries=$here/pose.yaml,$here/gender.yaml,$here/glasses.yaml,$here/smile.yaml,$here/all.yaml
auxiliaries+=,$here/all_light.yaml,$here/all_light_stopped.yaml
descant compare --arms "recipe=face_landmarks,$auxiliaries,$schemes" --seeds 5 --name face_landmarks \
  trainer.epochs=12 data=data/mtfl "$@"
