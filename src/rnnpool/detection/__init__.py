"""Geometry and losses of detectors: cells and anchors, assignment, box coding, losses, post-processing."""

from rnnpool.detection.point_head import PointHead
from rnnpool.detection.postprocess import Detections, Selection, select_detections
from rnnpool.detection.s3fd_head import S3FDHead
from rnnpool.detection.targets import Target

__all__ = ["Detections", "PointHead", "S3FDHead", "Selection", "Target", "select_detections"]
