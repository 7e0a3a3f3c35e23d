#!/usr/bin/env bash
# Makes the runs of multi_fashion.md, or goes on with them, in the folder that holds data/multi-fashion:
# ./run.sh [key=value …]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
losses=static,uncertainty,imtl_l,si,gls,dwa,rlw,cov,dtp,famo,"{name: stch, warmup_epochs: 1}"
controllers=exp3s,thompson,policy_gradient
gramian=gradnorm,mgda,pcgrad,gradvac,cagrad,imtl_g,imtl,nash_mtl,aligned_mtl,upgrad,dualproj,fairgrad,config
first=cosine_gating,ol_aux,main_projection,magnitude_matching
gradients=graddrop,db_mtl,moco,excess_mtl
descant compare "$here/both.yaml" --arms "balance=$losses,$controllers,$gramian,$first,$gradients" --seeds 3 \
  --name multi_fashion "$@"
descant compare --arms "recipe=$here/top_left.yaml,$here/bottom_right.yaml" --seeds 3 --name multi_fashion_single "$@"
