"""Relu Virtual Patient Engine: dental scans in, meshes out; one job is one case, each billed by its licence.

`api` is the wire, `answers` what its answers mean, `platform` the mapping to the operations. Facts from the vendor's
pages (docs.relu.eu: authentication, job body, error handling); what they do not say is an option of the account or
goes through as the rule wrote it.
"""

from __future__ import annotations

from bridge.platforms.virtual_patient_engine.platform import VirtualPatientEngine

__all__ = ["VirtualPatientEngine"]
